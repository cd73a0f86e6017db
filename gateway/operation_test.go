package gateway

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
		{ServiceTable, "GET", "/Tables", nil, "QueryTables"},
		{ServiceTable, "GET", "/Tables()?$top=1", nil, "QueryTables"},
		{ServiceTable, "POST", "/Tables", nil, "CreateTable"},
		{ServiceTable, "GET", "/Tables('operations')", nil, "QueryTable"},
		{ServiceTable, "DELETE", "/Tables('operations')", nil, "DeleteTable"},
		{ServiceTable, "POST", "/operations", nil, "InsertEntity"},
		{ServiceTable, "GET", "/operations()?$filter=RowKey%20eq%20'a'", nil, "QueryEntities"},
		{ServiceTable, "GET", "/operations", nil, "QueryEntities"},
		{ServiceTable, "GET", "/operations(PartitionKey='p',RowKey='r')", nil, "QueryEntity"},
		{ServiceTable, "PUT", "/operations(PartitionKey='p',RowKey='r')", match, "UpdateEntity"},
		{ServiceTable, "PUT", "/operations(PartitionKey='p',RowKey='r')", nil, "InsertOrReplaceEntity"},
		{ServiceTable, "MERGE", "/operations(PartitionKey='p',RowKey='r')", match, "MergeEntity"},
		{ServiceTable, "PATCH", "/operations(PartitionKey='p',RowKey='r')", nil, "InsertOrMergeEntity"},
		{ServiceTable, "POST", "/operations(PartitionKey='p',RowKey='r')", http.Header{"X-Http-Method": {"MERGE"}}, "InsertOrMergeEntity"},
		{ServiceTable, "DELETE", "/operations(PartitionKey='p',RowKey='r')", match, "DeleteEntity"},
		{ServiceTable, "POST", "/$batch", nil, "EntityGroupTransaction"},
		{ServiceTable, "PUT", "/operations?comp=acl", nil, "SetTableACL"},
		{ServiceTable, "GET", "/?restype=service&comp=properties", nil, "GetTableServiceProperties"},
		{ServiceTable, "GET", "/?restype=service&comp=stats", nil, "GetTableServiceStats"},
		{ServiceTable, "OPTIONS", "/operations", nil, "PreflightRequest"},
		{ServiceTable, "GET", "/", nil, "Unknown"},
		{ServiceTable, "BREW", "/operations", nil, "Unknown"},
		{ServiceBlob, "GET", "/c/a/b.txt", nil, "GetBlob"},
		{ServiceBlob, "HEAD", "/c/b", nil, "GetBlobProperties"},
		{ServiceBlob, "PUT", "/c/b", nil, "PutBlob"},
		{ServiceBlob, "PUT", "/c/b", http.Header{"X-Ms-Copy-Source": {"https://x"}}, "CopyBlob"},
		{ServiceBlob, "PUT", "/c/b?comp=block&blockid=AA==", nil, "PutBlock"},
		{ServiceBlob, "PUT", "/c/b?comp=blocklist", nil, "PutBlockList"},
		{ServiceBlob, "PUT", "/c?restype=container", nil, "CreateContainer"},
		{ServiceBlob, "HEAD", "/c?restype=container", nil, "GetContainerProperties"},
		{ServiceBlob, "GET", "/c?restype=container&comp=list", nil, "ListBlobs"},
		{ServiceBlob, "GET", "/?comp=list", nil, "ListContainers"},
		{ServiceBlob, "GET", "/root.txt", nil, "GetBlob"},
		{ServiceBlob, "PUT", "/c?restype=container&comp=metadata", nil, "SetContainerMetadata"},
		{ServiceBlob, "PUT", "/c/b?comp=lease", nil, "LeaseBlob"},
		{ServiceBlob, "PUT", "/c/b?comp=appendblock", nil, "AppendBlock"},
		{ServiceBlob, "GET", "/c/b?comp=tags", nil, "GetBlobTags"},
		{ServiceBlob, "POST", "/?comp=batch", nil, "BlobBatch"},
		{ServiceBlob, "GET", "/c/b?comp=new", nil, "Unknown"},
		{ServiceQueue, "GET", "/", nil, "ListQueues"},
		{ServiceQueue, "POST", "/q/messages", nil, "PutMessage"},
		{ServiceQueue, "GET", "/q/messages?peekonly=true", nil, "PeekMessages"},
		{ServiceQueue, "DELETE", "/q/messages/1?popreceipt=x", nil, "DeleteMessage"},
		{ServiceQueue, "PUT", "/q", nil, "CreateQueue"},
		{ServiceFile, "PUT", "/s?restype=share", nil, "CreateShare"},
		{ServiceFile, "GET", "/s/d?restype=directory&comp=list", nil, "ListFilesAndDirectories"},
		{ServiceFile, "PUT", "/s/d/f?comp=range", nil, "PutRange"},
		{ServiceFile, "GET", "/s/d/f", nil, "GetFile"},
		{ServiceFile, "HEAD", "/s/d/f", nil, "GetFileProperties"},
		{ServiceFile, "PUT", "/s/d?restype=directory", nil, "CreateDirectory"},
		{ServiceFile, "GET", "/s?restype=share&comp=stats", nil, "GetShareStats"},
		{ServiceDFS, "PUT", "/fs?resource=filesystem", nil, "CreateFilesystem"},
		{ServiceDFS, "PATCH", "/fs/f?action=flush&position=4", nil, "FlushFile"},
		{ServiceDFS, "DELETE", "/fs/d?recursive=true", nil, "DeletePath"},
		{ServiceDFS, "PUT", "/fs/d?resource=directory", nil, "CreatePath"},
		{ServiceDFS, "PATCH", "/fs/f?action=append", nil, "AppendFile"},
		{ServiceDFS, "GET", "/fs?resource=filesystem&recursive=true", nil, "ListFilesystemDir"},
		{ServiceWeb, "GET", "/index.html", nil, "GetWebContent"},
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
