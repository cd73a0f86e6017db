package gateway

import (
	"errors"
	"strings"
	"testing"
)

const suffix = "core.windows.net"

func TestParseHost(t *testing.T) {
	good := map[string]Endpoint{
		"sta.table.core.windows.net":                     {"sta", ServiceTable},
		"StA.Table.Core.Windows.NET":                     {"sta", ServiceTable},
		"sta.blob.core.windows.net:10000":                {"sta", ServiceBlob},
		"sta.queue.core.windows.net.":                    {"sta", ServiceQueue},
		"sta.file.core.windows.net.:443":                 {"sta", ServiceFile},
		"sta.dfs.core.windows.net":                       {"sta", ServiceDFS},
		"sta.web.core.windows.net":                       {"sta", ServiceWeb},
		"sta.z6.web.core.windows.net":                    {"sta", ServiceWeb},
		"a23456789012345678901234.blob.core.windows.net": {"a23456789012345678901234", ServiceBlob},
	}
	for host, want := range good {
		if got, err := ParseHost(host, suffix); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", host, got, err, want)
		}
	}
	for _, host := range []string{
		"", ".", ":", "core.windows.net", "table.core.windows.net", ".table.core.windows.net", "sta.table.core.windows.net.evil.example",
		"sta.tablecore.windows.net", "sta.tables.core.windows.net", "x.sta.table.core.windows.net", "st-a.table.core.windows.net",
		"st.table.core.windows.net", "a234567890123456789012345.blob.core.windows.net", "sta.zz.web.core.windows.net",
		"sta.z.web.core.windows.net", "sta.z6.blob.core.windows.net", "sta.table.core.windows.net:http", "sta.table.core.windows.net:123456",
		"sta.table.core.windows.net:1:2", "sta.table.core.windows.net..", "[::1]:443", "10.0.0.1", "sta\x00.table.core.windows.net",
		"sta.privatelink.table.core.windows.net", "sta\u212a.table.core.windows.net", "ſta.table.core.windows.net", "sta.table.core.windows.net/x", "user@sta.table.core.windows.net",
		strings.Repeat("a", 1000) + ".table.core.windows.net",
	} {
		if got, err := ParseHost(host, suffix); err == nil {
			t.Errorf("%q: got %+v, want an error", host, got)
		}
	}
}

func TestServerNameAndHost(t *testing.T) {
	table, blob := "sta.table.core.windows.net", "sta.blob.core.windows.net"
	for _, test := range []struct {
		host, serverName string
		misdirected      bool
	}{
		{table, "", false}, {table, table, false}, {table, "STA.table.core.windows.net", false}, {table, blob, false},
		{table, "rogue.table.core.windows.net", true}, {table, "localhost", true}, {"rogue.table.core.windows.net:443", table, true},
	} {
		_, err := endpointOf(test.host, test.serverName, suffix)
		if errors.Is(err, errMisdirected) != test.misdirected || !test.misdirected && err != nil {
			t.Errorf("host %q, server name %q: got %v, want misdirected %v", test.host, test.serverName, err, test.misdirected)
		}
	}
}

// FuzzParseHost: what is taken is a valid account of a known service, and its plain form is taken the same way.
func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{
		"sta.table.core.windows.net", "StA.blob.core.windows.net.:443", "sta.z6.web.core.windows.net", "[::1]:443", "a:b:c", "..", "",
		"sta.table.core.windows.net.core.windows.net", "sta.table.core.windows.net\r\nHost: x",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, host, serverName string) {
		got, err := ParseHost(host, suffix)
		if err == nil {
			if !validAccountName(got.Account) || !knownService(got.Service) {
				t.Fatalf("%q: got %+v", host, got)
			}
			plain := got.Account + "." + got.Service + "." + suffix
			if again, err := ParseHost(plain, suffix); err != nil || again != got {
				t.Fatalf("%q: got %+v, but %q is %+v, %v", host, got, plain, again, err)
			}
			if !strings.HasPrefix(strings.ToLower(host), got.Account+".") {
				t.Fatalf("%q: got account %q", host, got.Account)
			}
		}
		_ = serviceGuess(host)
		if both, err := endpointOf(host, serverName, suffix); err == nil {
			if serverName != "" {
				if negotiated, err := ParseHost(serverName, suffix); err != nil || negotiated.Account != both.Account {
					t.Fatalf("host %q with server name %q is taken as %+v", host, serverName, both)
				}
			}
		}
	})
}
