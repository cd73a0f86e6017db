package storage

import (
	"net/http"
	"net/url"
	"strings"
)

// unknownOperation stands for a request whose meaning is not in the tables below. The backend still judges it.
const unknownOperation = "Unknown"

// Operation names what a request asks for, in the words of
// https://learn.microsoft.com/rest/api/storageservices/storage-analytics-logged-operations-and-status-messages.
// part is one of the sub-services; header is asked for If-Match, X-HTTP-Method and the copy headers.
func Operation(part, method, path string, query url.Values, header http.Header) string {
	if method == http.MethodOptions {
		return "PreflightRequest"
	}
	path = strings.Trim(path, "/")
	switch part {
	case Table:
		return tableOperation(method, path, query, header)
	case Blob:
		return blobOperation(method, path, query, header)
	case Queue:
		return queueOperation(method, path, query)
	case File:
		return fileOperation(method, path, query, header)
	case DFS:
		return dfsOperation(method, path, query)
	case Web:
		if method == http.MethodGet || method == http.MethodHead {
			return "GetWebContent"
		}
	}
	return unknownOperation
}

// named picks the operation of a method; a method without one is unknown. HEAD counts as GET.
func named(method string, operations map[string]string) string {
	if method == http.MethodHead {
		if name, ok := operations[method]; ok {
			return name
		}
		method = http.MethodGet
	}
	if name, ok := operations[method]; ok {
		return name
	}
	return unknownOperation
}

// serviceProperties are the requests about the whole account that every sub-service has.
func serviceProperties(service, method string, query url.Values) (string, bool) {
	if query.Get("restype") != "service" {
		return "", false
	}
	switch query.Get("comp") {
	case "properties":
		return named(method, map[string]string{"GET": "Get" + service + "ServiceProperties", "PUT": "Set" + service + "ServiceProperties"}), true
	case "stats":
		return named(method, map[string]string{"GET": "Get" + service + "ServiceStats"}), true
	}
	return "", false
}

func tableOperation(method, path string, query url.Values, header http.Header) string {
	// Clients whose proxies know no MERGE send it as POST (X-HTTP-Method).
	if tunnelled := header.Get("X-Http-Method"); method == http.MethodPost && tunnelled != "" {
		method = strings.ToUpper(tunnelled)
	}
	if name, ok := serviceProperties("Table", method, query); ok {
		return name
	}
	resource, keys, keyed := strings.Cut(path, "(")
	keyed = keyed && strings.TrimSuffix(keys, ")") != ""
	switch {
	case resource == "":
		return unknownOperation
	case resource == "$batch":
		return named(method, map[string]string{"POST": "EntityGroupTransaction"})
	case query.Get("comp") == "acl":
		return named(method, map[string]string{"GET": "GetTableACL", "PUT": "SetTableACL"})
	case resource == "Tables" && keyed:
		return named(method, map[string]string{"GET": "QueryTable", "DELETE": "DeleteTable"})
	case resource == "Tables":
		return named(method, map[string]string{"GET": "QueryTables", "POST": "CreateTable"})
	case !keyed:
		return named(method, map[string]string{"GET": "QueryEntities", "POST": "InsertEntity"})
	}
	// Without If-Match the entity need not exist (Insert Or Replace, Insert Or Merge).
	put, merge := "UpdateEntity", "MergeEntity"
	if header.Get("If-Match") == "" {
		put, merge = "InsertOrReplaceEntity", "InsertOrMergeEntity"
	}
	return named(method, map[string]string{"GET": "QueryEntity", "PUT": put, "MERGE": merge, "PATCH": merge, "DELETE": "DeleteEntity"})
}

func blobOperation(method, path string, query url.Values, header http.Header) string {
	if name, ok := serviceProperties("Blob", method, query); ok {
		return name
	}
	comp := query.Get("comp")
	container, blob, inside := strings.Cut(path, "/")
	switch {
	case comp == "batch":
		return named(method, map[string]string{"POST": "BlobBatch"})
	case container == "":
		return named(method, map[string]string{"GET": "ListContainers"})
	case query.Get("restype") == "container" || !inside:
		switch comp {
		case "list":
			return named(method, map[string]string{"GET": "ListBlobs"})
		case "acl":
			return named(method, map[string]string{"GET": "GetContainerACL", "PUT": "SetContainerACL"})
		case "metadata":
			return named(method, map[string]string{"GET": "GetContainerMetadata", "PUT": "SetContainerMetadata"})
		case "lease":
			return named(method, map[string]string{"PUT": "LeaseContainer"})
		case "":
			if query.Get("restype") == "container" {
				return named(method, map[string]string{"PUT": "CreateContainer", "GET": "GetContainerProperties", "DELETE": "DeleteContainer"})
			}
			return named(method, blobPlain(header)) // a blob of the root container
		}
		return unknownOperation
	case blob == "":
		return unknownOperation
	}
	switch comp {
	case "":
		return named(method, blobPlain(header))
	case "block":
		return named(method, map[string]string{"PUT": "PutBlock"})
	case "blocklist":
		return named(method, map[string]string{"PUT": "PutBlockList", "GET": "GetBlockList"})
	case "page":
		return named(method, map[string]string{"PUT": "PutPage"})
	case "pagelist":
		return named(method, map[string]string{"GET": "GetPageRegions"})
	case "appendblock":
		return named(method, map[string]string{"PUT": "AppendBlock"})
	case "metadata":
		return named(method, map[string]string{"GET": "GetBlobMetadata", "PUT": "SetBlobMetadata"})
	case "properties":
		return named(method, map[string]string{"PUT": "SetBlobProperties"})
	case "lease":
		return named(method, map[string]string{"PUT": "LeaseBlob"})
	case "snapshot":
		return named(method, map[string]string{"PUT": "SnapshotBlob"})
	case "tags":
		return named(method, map[string]string{"GET": "GetBlobTags", "PUT": "SetBlobTags"})
	case "tier":
		return named(method, map[string]string{"PUT": "SetBlobTier"})
	case "copy":
		return named(method, map[string]string{"PUT": "AbortCopyBlob"})
	case "undelete":
		return named(method, map[string]string{"PUT": "UndeleteBlob"})
	}
	return unknownOperation
}

func blobPlain(header http.Header) map[string]string {
	put := "PutBlob"
	if header.Get("X-Ms-Copy-Source") != "" {
		put = "CopyBlob"
	}
	return map[string]string{"GET": "GetBlob", "HEAD": "GetBlobProperties", "PUT": put, "DELETE": "DeleteBlob"}
}

func queueOperation(method, path string, query url.Values) string {
	if name, ok := serviceProperties("Queue", method, query); ok {
		return name
	}
	segments := strings.Split(path, "/")
	switch {
	case path == "":
		return named(method, map[string]string{"GET": "ListQueues"})
	case len(segments) == 1:
		switch query.Get("comp") {
		case "acl":
			return named(method, map[string]string{"GET": "GetQueueACL", "PUT": "SetQueueACL"})
		case "metadata":
			return named(method, map[string]string{"GET": "GetQueueMetadata", "PUT": "SetQueueMetadata"})
		case "":
			return named(method, map[string]string{"PUT": "CreateQueue", "DELETE": "DeleteQueue"})
		}
	case segments[1] == "messages" && len(segments) == 2:
		get := "GetMessages"
		if query.Get("peekonly") == "true" {
			get = "PeekMessages"
		}
		return named(method, map[string]string{"GET": get, "POST": "PutMessage", "DELETE": "ClearMessages"})
	case segments[1] == "messages" && len(segments) == 3:
		return named(method, map[string]string{"PUT": "UpdateMessage", "DELETE": "DeleteMessage"})
	}
	return unknownOperation
}

func fileOperation(method, path string, query url.Values, header http.Header) string {
	if name, ok := serviceProperties("File", method, query); ok {
		return name
	}
	comp, restype := query.Get("comp"), query.Get("restype")
	switch {
	case path == "":
		return named(method, map[string]string{"GET": "ListShares"})
	case restype == "share":
		switch comp {
		case "":
			return named(method, map[string]string{"PUT": "CreateShare", "GET": "GetShareProperties", "DELETE": "DeleteShare"})
		case "acl":
			return named(method, map[string]string{"GET": "GetShareACL", "PUT": "SetShareACL"})
		case "metadata":
			return named(method, map[string]string{"GET": "GetShareMetadata", "PUT": "SetShareMetadata"})
		case "stats":
			return named(method, map[string]string{"GET": "GetShareStats"})
		}
	case restype == "directory":
		switch comp {
		case "":
			return named(method, map[string]string{"PUT": "CreateDirectory", "GET": "GetDirectoryProperties", "DELETE": "DeleteDirectory"})
		case "list":
			return named(method, map[string]string{"GET": "ListFilesAndDirectories"})
		}
	case comp == "range":
		return named(method, map[string]string{"PUT": "PutRange"})
	case comp == "rangelist":
		return named(method, map[string]string{"GET": "ListRanges"})
	case comp == "":
		put := "CreateFile"
		if header.Get("X-Ms-Copy-Source") != "" {
			put = "CopyFile"
		}
		return named(method, map[string]string{"GET": "GetFile", "HEAD": "GetFileProperties", "PUT": put, "DELETE": "DeleteFile"})
	}
	return unknownOperation
}

func dfsOperation(method, path string, query url.Values) string {
	_, _, inside := strings.Cut(path, "/")
	switch {
	case path == "":
		return named(method, map[string]string{"GET": "ListFilesystems"})
	case query.Get("resource") == "filesystem" && query.Get("recursive") != "":
		return named(method, map[string]string{"GET": "ListFilesystemDir"})
	case !inside:
		return named(method, map[string]string{"PUT": "CreateFilesystem", "DELETE": "DeleteFilesystem", "GET": "GetFilesystemProperties", "PATCH": "SetFilesystemProperties"})
	}
	switch action := query.Get("action"); {
	case action == "append" && method == http.MethodPatch:
		return "AppendFile"
	case action == "flush" && method == http.MethodPatch:
		return "FlushFile"
	case action == "getAccessControl" && method == http.MethodHead:
		return "GetPathAccessControl"
	}
	return named(method, map[string]string{"GET": "ReadFile", "HEAD": "GetPathProperties", "PUT": "CreatePath", "PATCH": "SetPathProperties", "DELETE": "DeletePath", "POST": "LeasePath"})
}
