package storage

import (
	"net/http"
	"net/url"
	"testing"
)

func TestOperation(t *testing.T) {
	match := http.Header{"If-Match": {"*"}}
	tests := []struct {
		service, method, target string
		header                  http.Header
		want                    string
	}{
		{Table, "GET", "/Tables", nil, "QueryTables"},
		{Table, "GET", "/Tables()?$top=1", nil, "QueryTables"},
		{Table, "POST", "/Tables", nil, "CreateTable"},
		{Table, "GET", "/Tables('operations')", nil, "QueryTable"},
		{Table, "DELETE", "/Tables('operations')", nil, "DeleteTable"},
		{Table, "POST", "/operations", nil, "InsertEntity"},
		{Table, "GET", "/operations()?$filter=RowKey%20eq%20'a'", nil, "QueryEntities"},
		{Table, "GET", "/operations", nil, "QueryEntities"},
		{Table, "GET", "/operations(PartitionKey='p',RowKey='r')", nil, "QueryEntity"},
		{Table, "PUT", "/operations(PartitionKey='p',RowKey='r')", match, "UpdateEntity"},
		{Table, "PUT", "/operations(PartitionKey='p',RowKey='r')", nil, "InsertOrReplaceEntity"},
		{Table, "MERGE", "/operations(PartitionKey='p',RowKey='r')", match, "MergeEntity"},
		{Table, "PATCH", "/operations(PartitionKey='p',RowKey='r')", nil, "InsertOrMergeEntity"},
		{Table, "POST", "/operations(PartitionKey='p',RowKey='r')", http.Header{"X-Http-Method": {"MERGE"}}, "InsertOrMergeEntity"},
		{Table, "DELETE", "/operations(PartitionKey='p',RowKey='r')", match, "DeleteEntity"},
		{Table, "POST", "/$batch", nil, "EntityGroupTransaction"},
		{Table, "PUT", "/operations?comp=acl", nil, "SetTableACL"},
		{Table, "GET", "/?restype=service&comp=properties", nil, "GetTableServiceProperties"},
		{Table, "GET", "/?restype=service&comp=stats", nil, "GetTableServiceStats"},
		{Table, "OPTIONS", "/operations", nil, "PreflightRequest"},
		{Table, "GET", "/", nil, "Unknown"},
		{Table, "BREW", "/operations", nil, "Unknown"},
		{Blob, "GET", "/c/a/b.txt", nil, "GetBlob"},
		{Blob, "HEAD", "/c/b", nil, "GetBlobProperties"},
		{Blob, "PUT", "/c/b", nil, "PutBlob"},
		{Blob, "PUT", "/c/b", http.Header{"X-Ms-Copy-Source": {"https://x"}}, "CopyBlob"},
		{Blob, "PUT", "/c/b?comp=block&blockid=AA==", nil, "PutBlock"},
		{Blob, "PUT", "/c/b?comp=blocklist", nil, "PutBlockList"},
		{Blob, "PUT", "/c?restype=container", nil, "CreateContainer"},
		{Blob, "HEAD", "/c?restype=container", nil, "GetContainerProperties"},
		{Blob, "GET", "/c?restype=container&comp=list", nil, "ListBlobs"},
		{Blob, "GET", "/?comp=list", nil, "ListContainers"},
		{Blob, "GET", "/root.txt", nil, "GetBlob"},
		{Blob, "PUT", "/c?restype=container&comp=metadata", nil, "SetContainerMetadata"},
		{Blob, "PUT", "/c/b?comp=lease", nil, "LeaseBlob"},
		{Blob, "PUT", "/c/b?comp=appendblock", nil, "AppendBlock"},
		{Blob, "GET", "/c/b?comp=tags", nil, "GetBlobTags"},
		{Blob, "POST", "/?comp=batch", nil, "BlobBatch"},
		{Blob, "GET", "/c/b?comp=new", nil, "Unknown"},
		{Queue, "GET", "/", nil, "ListQueues"},
		{Queue, "POST", "/q/messages", nil, "PutMessage"},
		{Queue, "GET", "/q/messages?peekonly=true", nil, "PeekMessages"},
		{Queue, "DELETE", "/q/messages/1?popreceipt=x", nil, "DeleteMessage"},
		{Queue, "PUT", "/q", nil, "CreateQueue"},
		{File, "PUT", "/s?restype=share", nil, "CreateShare"},
		{File, "GET", "/s/d?restype=directory&comp=list", nil, "ListFilesAndDirectories"},
		{File, "PUT", "/s/d/f?comp=range", nil, "PutRange"},
		{File, "GET", "/s/d/f", nil, "GetFile"},
		{File, "HEAD", "/s/d/f", nil, "GetFileProperties"},
		{File, "PUT", "/s/d?restype=directory", nil, "CreateDirectory"},
		{File, "GET", "/s?restype=share&comp=stats", nil, "GetShareStats"},
		{DFS, "PUT", "/fs?resource=filesystem", nil, "CreateFilesystem"},
		{DFS, "PATCH", "/fs/f?action=flush&position=4", nil, "FlushFile"},
		{DFS, "DELETE", "/fs/d?recursive=true", nil, "DeletePath"},
		{DFS, "PUT", "/fs/d?resource=directory", nil, "CreatePath"},
		{DFS, "PATCH", "/fs/f?action=append", nil, "AppendFile"},
		{DFS, "GET", "/fs?resource=filesystem&recursive=true", nil, "ListFilesystemDir"},
		{Web, "GET", "/index.html", nil, "GetWebContent"},
		{"", "GET", "/", nil, "Unknown"},
	}
	for _, test := range tests {
		target, err := url.Parse(test.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := Operation(test.service, test.method, target.Path, target.Query(), test.header); got != test.want {
			t.Errorf("%s %s %s: got %s, want %s", test.service, test.method, test.target, got, test.want)
		}
	}
}

// FuzzOperation: any path has an operation, and none is empty.
func FuzzOperation(f *testing.F) {
	f.Add("table", "POST", "/operations(PartitionKey='p',RowKey='r')", "comp=acl")
	f.Add("queue", "GET", "/q/messages/", "restype=service&comp=stats")
	f.Fuzz(func(t *testing.T, service, method, path, query string) {
		values, _ := url.ParseQuery(query)
		if Operation(service, method, path, values, http.Header{}) == "" {
			t.Fatal("no name")
		}
	})
}
