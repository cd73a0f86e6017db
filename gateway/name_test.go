package gateway

import (
	"errors"
	"strings"
	"testing"

	"postern/model"
)

// answer is what a name asks for.
type answer struct{ account, part string }

func find(host string) (answer, error) {
	var snapshot *Snapshot
	target, err := snapshot.Find(host)
	return answer{target.Name, target.Part}, err
}

func TestFind(t *testing.T) {
	good := map[string]answer{
		"sta.table.core.windows.net":                       {"sta", "table"},
		"StA.Table.Core.Windows.NET":                       {"sta", "table"},
		"sta.blob.core.windows.net:10000":                  {"sta", "blob"},
		"sta.queue.core.windows.net.":                      {"sta", "queue"},
		"sta.file.core.windows.net.:443":                   {"sta", "file"},
		"sta.dfs.core.windows.net":                         {"sta", "dfs"},
		"sta.web.core.windows.net":                         {"sta", "web"},
		"sta.z6.web.core.windows.net":                      {"sta", "web"},
		"sta.z24.blob.storage.azure.net":                   {"sta", "blob"},
		"sta-internetrouting.dfs.core.windows.net":         {"sta-internetrouting", "dfs"},
		"sta-microsoftrouting.z00.table.storage.azure.net": {"sta-microsoftrouting", "table"},
		"a23456789012345678901234.blob.core.windows.net":   {"a23456789012345678901234", "blob"},
	}
	for host, want := range good {
		if got, err := find(host); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", host, got, err, want)
		}
	}
	for _, host := range []string{
		"", ".", ":", "core.windows.net", "table.core.windows.net", ".table.core.windows.net", "sta.table.core.windows.net.evil.example",
		"sta.tablecore.windows.net", "sta.tables.core.windows.net", "x.sta.table.core.windows.net", "st-a.table.core.windows.net",
		"st.table.core.windows.net", "a234567890123456789012345.blob.core.windows.net", "sta.z6.blob.core.windows.net", "sta.table.core.windows.net:http", "sta.table.core.windows.net:123456",
		"sta.table.core.windows.net:1:2", "sta.table.core.windows.net..", "[::1]:443", "10.0.0.1", "sta\x00.table.core.windows.net",
		"sta.privatelink.table.core.windows.net", "sta\u212a.table.core.windows.net", "ſta.table.core.windows.net", "sta.table.core.windows.net/x", "user@sta.table.core.windows.net",
		strings.Repeat("a", 1000) + ".table.core.windows.net",
	} {
		if got, err := find(host); err == nil {
			t.Errorf("%q: got %+v, want an error", host, got)
		}
	}
}

// TestFindByLabels finds an account by the labels of its routes, and no account by those that it does not publish.
func TestFindByLabels(t *testing.T) {
	routed := storageAccount("sta", model.NetworkRules{})
	routed.Labels = []string{"sta-internetrouting"}
	snapshot := snapshotOf(t, cloud(routed))
	for host, known := range map[string]bool{"sta.blob.core.windows.net": true, "sta-internetrouting.blob.core.windows.net": true,
		"sta-microsoftrouting.blob.core.windows.net": false, "sta.z24.blob.storage.azure.net": false} {
		target, err := snapshot.Find(host)
		if err != nil || (target.Instance != nil) != known || known && (target.Name != "sta" || target.Part != "blob") {
			t.Errorf("%s: %+v, %v", host, target, err)
		}
	}
}

func TestServerNameAndHost(t *testing.T) {
	snapshot := snapshotOf(t, cloud(storageAccount("sta", model.NetworkRules{})))
	table, blob := "sta.table.core.windows.net", "sta.blob.core.windows.net"
	for _, test := range []struct {
		host, serverName string
		misdirected      bool
	}{
		{table, "", false}, {table, table, false}, {table, "STA.table.core.windows.net", false}, {table, blob, false},
		{table, "rogue.table.core.windows.net", true}, {table, "localhost", true}, {"rogue.table.core.windows.net:443", table, true},
	} {
		_, err := snapshot.asked(test.host, test.serverName)
		if errors.Is(err, errMisdirected) != test.misdirected || !test.misdirected && err != nil {
			t.Errorf("host %q, server name %q: got %v, want misdirected %v", test.host, test.serverName, err, test.misdirected)
		}
	}
}

// FuzzFind: what is taken is a valid name of a known service, and its plain form is taken the same way.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{
		"sta.table.core.windows.net", "StA.blob.core.windows.net.:443", "sta.z6.web.core.windows.net", "[::1]:443", "a:b:c", "..", "",
		"sta.table.core.windows.net.core.windows.net", "sta.table.core.windows.net\r\nHost: x",
	} {
		f.Add(seed, seed)
	}
	snapshot := snapshotOf(f, cloud(storageAccount("sta", model.NetworkRules{})))
	f.Fuzz(func(t *testing.T, host, serverName string) {
		got, err := snapshot.Find(host)
		if err == nil && got.Service != nil {
			if !got.Service.NameIsValid(got.Name) {
				t.Fatalf("%q: got %+v", host, got)
			}
			if !strings.HasPrefix(strings.ToLower(host), got.Name+".") {
				t.Fatalf("%q: got account %q", host, got.Name)
			}
			again, err := snapshot.Find(strings.ToLower(host))
			if err != nil || again != got {
				t.Fatalf("%q: got %+v, but in lower case %+v, %v", host, got, again, err)
			}
		}
		_, _ = snapshot.zonesInForce().guess(host)
		if both, err := snapshot.asked(host, serverName); err == nil && serverName != "" {
			if negotiated, err := snapshot.Find(serverName); err != nil || !negotiated.same(both) {
				t.Fatalf("host %q with server name %q is taken as %+v", host, serverName, both)
			}
		}
	})
}
