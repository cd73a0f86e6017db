package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/firewall"
)

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// gate is a disk that stands still until it is opened.
type gate struct {
	entered chan struct{} // one for each Write that has begun
	open    chan struct{}
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.Buffer.Write(p)
}

func TestSlowDiskNeverSlowsARequest(t *testing.T) {
	const capacity, extra = 10, 7
	disk := &gate{entered: make(chan struct{}, 100), open: make(chan struct{})}
	log := NewAccessLog(disk, capacity)
	log.Record(Entry{UserAgent: "first"})
	<-disk.entered // the writer hangs in the first line; from here on the queue fills
	for i := range capacity + extra {
		log.Record(Entry{UserAgent: fmt.Sprint(i)})
	}
	if log.Lost() != extra {
		t.Errorf("lost %d lines, want %d", log.Lost(), extra)
	}
	close(disk.open)
	if err := log.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLog(&disk.Buffer)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != capacity+1 {
		t.Fatalf("got %d entries, want %d", len(entries), capacity+1)
	}
	var reported uint64
	for i, entry := range entries {
		reported += entry.LostLines
		if i > 0 && entry.UserAgent != fmt.Sprint(i-1) {
			t.Errorf("entry %d is %q: order changed", i, entry.UserAgent)
		}
	}
	if reported != extra || entries[1].LostLines != extra {
		t.Errorf("the lines report %d lost, want %d in the next line", reported, extra)
	}
}

// fullDisk takes half a line, then nothing, until it has room.
type fullDisk struct {
	mu     sync.Mutex
	room   bool
	half   bool
	buffer bytes.Buffer
}

func (d *fullDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room {
		return d.buffer.Write(p)
	}
	if d.half {
		return 0, errors.New("no space left on device")
	}
	d.half = true
	n, _ := d.buffer.Write(p[:len(p)/2])
	return n, errors.New("no space left on device")
}

func TestLostLinesAreReportedAfterAFailedWrite(t *testing.T) {
	disk := &fullDisk{}
	log := NewAccessLog(disk, 0)
	for range 3 {
		log.Record(Entry{Account: "sta"})
		if err := log.Sync(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	disk.mu.Lock()
	disk.room = true
	disk.mu.Unlock()
	log.Record(Entry{Account: "stb"})
	if err := log.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLog(&disk.buffer)
	var unreadable *UnreadableLinesError
	if !errors.As(err, &unreadable) || unreadable.Count != 1 || unreadable.First != 1 {
		t.Errorf("got %v, want the torn first line reported", err)
	}
	if len(entries) != 1 || entries[0].Account != "stb" || entries[0].LostLines != 3 {
		t.Errorf("got %+v, want stb with 3 lines lost before it", entries)
	}
}

func TestCloseReportsWhatNoLineCould(t *testing.T) {
	disk := &fullDisk{half: true}
	log := NewAccessLog(disk, 0)
	log.Record(Entry{})
	if err := log.Sync(bounded(t)); err != nil {
		t.Fatal(err)
	}
	disk.mu.Lock()
	disk.room = true
	disk.mu.Unlock()
	if err := log.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	entries, err := ReadLog(&disk.buffer)
	if err != nil || len(entries) != 1 || entries[0].StatusText != StatusLinesLost || entries[0].LostLines != 1 {
		t.Errorf("got %+v, %v", entries, err)
	}
	log.Record(Entry{}) // after the end: counted, never written
	if log.Lost() != 2 {
		t.Errorf("lost %d, want 2", log.Lost())
	}
}

func TestCloseDoesNotHangWithTheDisk(t *testing.T) {
	disk := &gate{entered: make(chan struct{}, 100), open: make(chan struct{})}
	log := NewAccessLog(disk, 0)
	log.Record(Entry{})
	<-disk.entered
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := log.Close(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(disk.open)
	if err := log.Close(bounded(t)); err != nil {
		t.Error(err)
	}
}

func TestEntryNamesAreFixed(t *testing.T) {
	t.Run("FW-13 the names of a line", func(t *testing.T) {
		line, err := json.Marshal(Entry{})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"time", "account", "service", "operation", "method", "uri", "statusCode", "statusText", "callerIpAddress",
			"callerKind", "virtualNetwork", "subnet", "requestBytes", "responseBytes", "durationMs", "rule", "missingRule", "requestId", "userAgent",
			"resourceId", "protocol", "backend"}
		names := decode[map[string]any](t, line)
		for _, name := range want {
			if _, ok := names[name]; !ok {
				t.Errorf("no %s", name)
			}
		}
		if len(names) != len(want) {
			t.Errorf("%d names, want %d", len(names), len(want))
		}
	})
}

func TestLongTextIsCut(t *testing.T) {
	var buffer bytes.Buffer
	log := NewAccessLog(&buffer, 0)
	log.Record(Entry{UserAgent: strings.Repeat("\x01", 1<<20), URI: strings.Repeat("\xff", 1<<20)})
	if err := log.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if buffer.Len() > maxLine {
		t.Errorf("the line has %d bytes, which ReadLog would not take", buffer.Len())
	}
	if entries, err := ReadLog(&buffer); err != nil || len(entries) != 1 {
		t.Errorf("got %d entries, %v", len(entries), err)
	}
}

func someEntries() []Entry {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return []Entry{
		{Time: at, Account: "sta", Service: "table", Operation: "InsertEntity", StatusCode: 204, StatusText: "Success", CallerKind: firewall.Endpoint,
			CallerIPAddress: "10.13.76.36:50000", VirtualNetwork: string(vnet), Subnet: string(subnetID("snet-app")), Rule: "defaultAction Allow"},
		{Time: at.Add(time.Second), Account: "sta", Service: "table", Operation: "QueryEntities", StatusCode: 403, StatusText: "AuthorizationFailure",
			CallerKind: firewall.Public, CallerIPAddress: "20.1.2.3:50000", MissingRule: "no ipRules entry for 20.1.2.3"},
		{Time: at.Add(2 * time.Second), Account: "rogue", Service: "blob", Operation: "GetBlob", StatusText: StatusConnectionRevoked,
			CallerKind: firewall.Endpoint, CallerIPAddress: "10.13.76.37:50000", VirtualNetwork: string(vnet), Subnet: string(subnetID("snet-other")),
			MissingRule: "\x1b[2Jpolicy\tof\nsnet", LostLines: 4},
	}
}

func TestFilter(t *testing.T) {
	entries := someEntries()
	for name, test := range map[string]struct {
		filter Filter
		want   []int
	}{
		"all":             {Filter{}, []int{0, 1, 2}},
		"account":         {Filter{Account: "STA"}, []int{0, 1}},
		"service":         {Filter{Service: "blob"}, []int{2}},
		"operation":       {Filter{Operation: "insertentity"}, []int{0}},
		"status":          {Filter{StatusText: "Success"}, []int{0}},
		"kind":            {Filter{CallerKind: firewall.Public}, []int{1}},
		"subnet by name":  {Filter{Subnet: "snet-app"}, []int{0}},
		"subnet by id":    {Filter{Subnet: strings.ToUpper(string(subnetID("snet-app")))}, []int{0}},
		"virtual network": {Filter{VirtualNetwork: "vnet-app"}, []int{0, 2}},
		"caller":          {Filter{Caller: netip.MustParsePrefix("10.13.76.36/32")}, []int{0}},
		"denied":          {Filter{DeniedOnly: true}, []int{1, 2}},
		"since":           {Filter{Since: entries[1].Time}, []int{1, 2}},
		"until":           {Filter{Until: entries[1].Time}, []int{0}},
		"none":            {Filter{Account: "sta", Service: "blob"}, nil},
	} {
		var want []Entry
		for _, i := range test.want {
			want = append(want, entries[i])
		}
		if got := Select(entries, test.filter); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %d entries, want %v", name, len(got), test.want)
		}
	}
}

func TestRenderTable(t *testing.T) {
	var out bytes.Buffer
	if err := RenderTable(&out, someEntries()); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"TIME                      ACCOUNT  SERVICE  OPERATION      STATUS                    CALLER             BY        SUBNET               MS   WHY\n" +
		"2026-03-01T12:00:00.000Z  sta      table    InsertEntity   204 Success               10.13.76.36:50000  endpoint  vnet-app/snet-app    0.0  defaultAction Allow\n" +
		"2026-03-01T12:00:01.000Z  sta      table    QueryEntities  403 AuthorizationFailure  20.1.2.3:50000     public    -                    0.0  missing: no ipRules entry for 20.1.2.3\n" +
		"2026-03-01T12:00:02.000Z  rogue    blob     GetBlob        ConnectionRevoked         10.13.76.37:50000  endpoint  vnet-app/snet-other  0.0  missing: \uFFFD[2Jpolicy\uFFFDof\uFFFDsnet (4 lines lost before)\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRenderTableToNobody(t *testing.T) {
	if err := RenderTable(brokenWriter{}, someEntries()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

// FuzzReadLog: any bytes are read without harm, and what is read survives being written again.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte(`{"time":"2026-03-01T12:00:00Z","account":"sta","statusCode":403}` + "\n\n{torn\n"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ReadLog(bytes.NewReader(data))
		var unreadable *UnreadableLinesError
		if err != nil && !errors.As(err, &unreadable) {
			t.Fatal(err)
		}
		if err := RenderTable(io.Discard, entries); err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			line, err := json.Marshal(entry)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseLine(line); err != nil || !reflect.DeepEqual(again, entry) {
				t.Fatalf("%+v came back as %+v, %v", entry, again, err)
			}
		}
	})
}
