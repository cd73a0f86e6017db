package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
)

// blobs is Azure's client for the blobs of the account own at an address, on a machine.
func (s *stage) blobs(from Machine, address string) *azblob.Client {
	s.t.Helper()
	credential, err := azblob.NewSharedKeyCredential(own, s.keyOf(own))
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential(address, credential, &azblob.ClientOptions{ClientOptions: s.azureClient(from)})
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// useBlobs takes some megabytes there and back, in blocks at once; then lists many blobs in pages, and deletes.
func (s *stage) useBlobs(client *azblob.Client, name string, many int) {
	s.t.Helper()
	ctx := s.ctx
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := client.CreateContainer(ctx, name, nil)
	fail(err)
	photo := make([]byte, 6<<20+12345)
	rand.NewChaCha8([32]byte{1}).Read(photo)
	_, err = client.UploadStream(ctx, name, "2026/höhe.jpg", bytes.NewReader(photo), &azblob.UploadStreamOptions{BlockSize: 1 << 20, Concurrency: 4})
	fail(err)
	got := make([]byte, len(photo))
	n, err := client.DownloadBuffer(ctx, name, "2026/höhe.jpg", got, &azblob.DownloadBufferOptions{BlockSize: 1 << 20, Concurrency: 4})
	fail(err)
	if n != int64(len(photo)) || !bytes.Equal(got, photo) {
		s.t.Errorf("%d bytes came back, of %d, or others", n, len(photo))
	}
	if _, err := client.CreateContainer(ctx, name, nil); !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		s.t.Errorf("the container a second time: %v, want %s", err, bloberror.ContainerAlreadyExists)
	}
	var writers sync.WaitGroup
	failures := make(chan error, many)
	for first := range 8 {
		writers.Go(func() {
			for i := first; i < many; i += 8 {
				if _, err := client.UploadBuffer(ctx, name, fmt.Sprintf("small/%04d", i), []byte("x"), nil); err != nil {
					failures <- err
				}
			}
		})
	}
	writers.Wait()
	close(failures)
	fail(<-failures)
	size, pages, listed := int32(100), 0, 0
	options := &container.ListBlobsFlatOptions{MaxResults: &size, Prefix: new("small/")}
	for pager := client.NewListBlobsFlatPager(name, options); pager.More() && pages <= many; pages++ {
		page, err := pager.NextPage(ctx)
		fail(err)
		for _, item := range page.Segment.BlobItems {
			if want := fmt.Sprintf("small/%04d", listed); *item.Name != want {
				s.t.Fatalf("the list has %s for %s", *item.Name, want)
			}
			listed++
		}
	}
	if want := max(1, (many+99)/100); listed != many || pages != want {
		s.t.Errorf("%d blobs in %d pages, want %d in %d", listed, pages, many, want)
	}
	_, err = client.DeleteBlob(ctx, name, "2026/höhe.jpg", nil)
	fail(err)
	if _, err := client.DownloadBuffer(ctx, name, "2026/höhe.jpg", got, nil); !bloberror.HasCode(err, bloberror.BlobNotFound) {
		s.t.Errorf("the deleted blob: %v, want %s", err, bloberror.BlobNotFound)
	}
}

// blobsDenied wants the client to say what it says of Azure's firewall, also where the answer comes in the middle of an upload.
// It has no UploadStream: that client gives the memory of a block back to the kernel when the answer is there, while it may
// still be sending from it, and crashes.
func (s *stage) blobsDenied(client *azblob.Client, name string) {
	s.t.Helper()
	_, listing := client.NewListBlobsFlatPager(name, nil).NextPage(s.ctx)
	_, small := client.UploadBuffer(s.ctx, name, "denied", []byte("x"), nil)
	_, large := client.UploadBuffer(s.ctx, name, "denied", make([]byte, 4<<20), nil)
	for what, err := range map[string]error{"a list": listing, "a blob": small, "a large blob": large} {
		if !bloberror.HasCode(err, bloberror.AuthorizationFailure) || !forbidden(err) {
			s.t.Errorf("%s from a subnet that is not allowed: %v, want 403 %s", what, err, bloberror.AuthorizationFailure)
		}
	}
}

func forbidden(err error) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.StatusCode == http.StatusForbidden
}

// queues is Azure's client for the queues of the account own at an address, on a machine.
func (s *stage) queues(from Machine, address string) *azqueue.ServiceClient {
	s.t.Helper()
	credential, err := azqueue.NewSharedKeyCredential(own, s.keyOf(own))
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := azqueue.NewServiceClientWithSharedKeyCredential(address, credential, &azqueue.ClientOptions{ClientOptions: s.azureClient(from)})
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// useQueue puts messages in a queue, looks, takes and deletes one, and deletes the queue.
func (s *stage) useQueue(client *azqueue.ServiceClient, name string) {
	s.t.Helper()
	ctx, queue := s.ctx, client.NewQueueClient(name)
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := queue.Create(ctx, nil)
	fail(err)
	for i := range 3 {
		_, err = queue.EnqueueMessage(ctx, fmt.Sprint("job ", i), nil)
		fail(err)
	}
	peeked, err := queue.PeekMessages(ctx, &azqueue.PeekMessagesOptions{NumberOfMessages: new(int32(10))})
	fail(err)
	if len(peeked.Messages) != 3 || *peeked.Messages[0].MessageText != "job 0" {
		s.t.Errorf("%d messages wait, want 3", len(peeked.Messages))
	}
	taken, err := queue.DequeueMessage(ctx, nil)
	fail(err)
	_, err = queue.DeleteMessage(ctx, *taken.Messages[0].MessageID, *taken.Messages[0].PopReceipt, nil)
	fail(err)
	_, err = queue.DeleteMessage(ctx, *taken.Messages[0].MessageID, *taken.Messages[0].PopReceipt, nil)
	if !queueerror.HasCode(err, queueerror.MessageNotFound) {
		s.t.Errorf("the message a second time: %v, want %s", err, queueerror.MessageNotFound)
	}
	_, err = queue.Delete(ctx, nil)
	fail(err)
}

// queueDenied wants the client to say what it says of Azure's firewall.
func (s *stage) queueDenied(client *azqueue.ServiceClient, name string) {
	s.t.Helper()
	if _, err := client.NewQueueClient(name).Create(s.ctx, nil); !queueerror.HasCode(err, queueerror.AuthorizationFailure) || !forbidden(err) {
		s.t.Errorf("a queue from a subnet that is not allowed: %v, want 403 %s", err, queueerror.AuthorizationFailure)
	}
}
