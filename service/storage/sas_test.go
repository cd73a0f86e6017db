package storage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The well-known key of the storage emulators, and another.
var sasKeys = [2]string{"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
	base64.StdEncoding.EncodeToString([]byte("another key"))}

// signs compares a token's signature with that of a string to sign, written down as Microsoft's documentation has it.
func signs(t *testing.T, token, key, text string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(token)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); values.Get("sig") != want {
		t.Errorf("%s is not signed over %q", token, text)
	}
	return values
}

func TestSharedAccessSignatures(t *testing.T) {
	start, end := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC), time.Date(2030, 1, 3, 5, 4, 5, 0, time.FixedZone("", 7200))
	whole := AccountSAS{Services: "bt", ResourceTypes: "sco", Permissions: "rl", IP: "192.0.2.1-192.0.2.9", Protocols: "https,http", Start: &start, Expiry: &end}
	token, err := whole.Token("devstore", sasKeys)
	if err != nil {
		t.Fatal(err)
	}
	values := signs(t, token, sasKeys[0], "devstore\nrl\nbt\nsco\n2030-01-02T03:04:05Z\n2030-01-03T03:04:05Z\n192.0.2.1-192.0.2.9\nhttps,http\n2015-04-05\n")
	if values.Get("ss") != "bt" || values.Get("srt") != "sco" || values.Get("sip") != "192.0.2.1-192.0.2.9" || !strings.Contains(token, "spr=https,http") {
		t.Errorf("the account's token: %s", token)
	}
	blob := ServiceSAS{Resource: "/blob/devstore/music/a b", Kind: "b", Permissions: "r", Expiry: &end, Key: "key2", ContentType: "text/plain; x"}
	if token, err = blob.Token("devstore", sasKeys); err != nil {
		t.Fatal(err)
	}
	signs(t, token, sasKeys[1], "r\n\n2030-01-03T03:04:05Z\n/blob/devstore/music/a b\n\n\n\n2015-04-05\n\n\n\n\ntext/plain; x")
	table := ServiceSAS{Resource: "/table/devstore/people", Permissions: "r", Expiry: &end, StartPartition: "a", EndPartition: "b", StartRow: "1", EndRow: "2"}
	if token, err = table.Token("devstore", sasKeys); err != nil {
		t.Fatal(err)
	}
	if values = signs(t, token, sasKeys[0], "r\n\n2030-01-03T03:04:05Z\n/table/devstore/people\n\n\n\n2015-04-05\na\n1\nb\n2"); values.Get("tn") != "people" || values.Get("epk") != "b" || values.Has("sr") {
		t.Errorf("a table's token: %s", token)
	}
	queue := ServiceSAS{Resource: "/queue/devstore/work", Identifier: "policy"}
	if token, err = queue.Token("devstore", sasKeys); err != nil {
		t.Fatal(err)
	}
	signs(t, token, sasKeys[0], "\n\n\n/queue/devstore/work\npolicy\n\n\n2015-04-05")

	for name, bad := range map[string]ServiceSAS{
		"another account":   {Resource: "/blob/other/music", Kind: "c", Permissions: "r", Expiry: &end},
		"no container":      {Resource: "/blob/devstore", Kind: "c", Permissions: "r", Expiry: &end},
		"no such service":   {Resource: "/dfs/devstore/music", Kind: "c", Permissions: "r", Expiry: &end},
		"a share of blobs":  {Resource: "/blob/devstore/music", Kind: "s", Permissions: "r", Expiry: &end},
		"a kind of a queue": {Resource: "/queue/devstore/work", Kind: "c", Permissions: "r", Expiry: &end},
		"no such right":     {Resource: "/blob/devstore/music", Kind: "c", Permissions: "x", Expiry: &end},
		"a right twice":     {Resource: "/blob/devstore/music", Kind: "c", Permissions: "rr", Expiry: &end},
		"no end":            {Resource: "/blob/devstore/music", Kind: "c", Permissions: "r"},
		"no such key":       {Resource: "/blob/devstore/music", Kind: "c", Permissions: "r", Expiry: &end, Key: "key3"},
		"no such protocol":  {Resource: "/blob/devstore/music", Kind: "c", Permissions: "r", Expiry: &end, Protocols: "http"},
		"no address":        {Resource: "/blob/devstore/music", Kind: "c", Permissions: "r", Expiry: &end, IP: "192.0.2.1-"},
	} {
		if token, err := bad.Token("devstore", sasKeys); err == nil {
			t.Errorf("%s: %s", name, token)
		}
	}
}
