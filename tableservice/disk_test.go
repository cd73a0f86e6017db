package tableservice

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// open opens a service on a file, until the test ends.
func open(t *testing.T, path string) *Service {
	t.Helper()
	s, err := New(Options{Suffix: suffix, Authorizer: Unavailable{}, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// must fails a test for a fault.
func must(t *testing.T, f *Fault) {
	t.Helper()
	if f != nil {
		t.Fatal(f)
	}
}

func text(name, content string) property {
	return property{name, value{kind: kindString, text: content}}
}

func insert(partition, row string, properties ...property) change {
	return change{kind: changeInsert, key: key{partition, row}, properties: properties}
}

// all are the rows of a table, in order.
func (a *account) all(t *testing.T, table string) []*entity {
	t.Helper()
	rows, _, f := a.query(table, key{}, math.MaxInt, func(*entity) bool { return true })
	must(t, f)
	return rows
}

// What a process wrote, the next finds as it was: names, values, order, etags.
func TestReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	first := open(t, path)
	a := first.account("sta")
	must(t, a.createTable("Operations"))
	must(t, a.createTable("gone"))
	now := time.Now()
	write := func(changes ...change) {
		t.Helper()
		_, _, f := a.apply("operations", changes, now)
		must(t, f)
	}
	write(insert("p", "2", text("A", "ä\x00b"), property{"B", value{kind: kindBinary, text: "\xff\x00"}}, property{"N", value{kind: kindInt64, integer: math.MinInt64}},
		property{"D", value{kind: kindDouble, double: math.Inf(-1)}}, property{"T", value{kind: kindDateTime, time: timeFrom}}), insert("p", "1"))
	write(insert("", ""), insert("", "x"), insert("p\u00ff", ""), insert("n", ""), insert("p1", "0"))
	write(change{kind: changeMerge, key: key{"p", "2"}, properties: []property{text("C", "c")}}, change{kind: changeDelete, key: key{"", "x"}})
	must(t, a.deleteTable("GONE"))
	want, size := a.all(t, "operations"), a.size
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, f := a.apply("operations", []change{insert("p", "late")}, now); f != faultDisk || len(a.all(t, "operations")) != len(want) {
		t.Errorf("a write without a disk: %v, and %d rows", f, len(a.all(t, "operations")))
	}

	b := open(t, path).account("sta")
	if got := b.all(t, "operations"); !reflect.DeepEqual(got, want) || b.size != size {
		t.Errorf("got %d bytes %+v\nwant %d bytes %+v", b.size, got, size, want)
	}
	if names, _ := b.listTables("", 10, func(string) bool { return true }); fmt.Sprint(names) != "[Operations]" {
		t.Errorf("tables %v", names)
	}
	newest := want[len(want)-1].timestamp
	for _, e := range want {
		if e.timestamp.After(newest) {
			newest = e.timestamp
		}
	}
	if after, _, f := b.apply("operations", []change{insert("p", "3")}, now.Add(-time.Hour)); f != nil || !after[0].timestamp.After(newest) {
		t.Errorf("after a clock that was set back: %+v, %v", after, f)
	}
}

// An account's rows are for the account that they were written to: another of its name finds nothing, also where the first
// went while nobody looked. One that a plan forgets for a moment has them again.
func TestKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	now := time.Now()
	var s *Service
	reopen := func() {
		t.Helper()
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, path)
		s.options.Now = func() time.Time { return now }
	}
	keep := func(owners map[string]string) {
		t.Helper()
		if err := s.Keep(owners); err != nil {
			t.Fatal(err)
		}
	}
	tables := func(name string) string {
		t.Helper()
		a := s.account(name)
		if a == nil {
			return "nothing"
		}
		names, _ := a.listTables("", 10, func(string) bool { return true })
		return fmt.Sprint(names)
	}
	want := func(name, have string) {
		t.Helper()
		if got := tables(name); got != have {
			t.Errorf("account %s has %s, want %s", name, got, have)
		}
	}
	reopen()
	keep(map[string]string{"sta": "1", "stb": "2"})
	for _, name := range []string{"sta", "stb"} {
		must(t, s.account(name).createTable("operations"))
	}
	keep(map[string]string{"stb": "2"})
	want("sta", "nothing")
	reopen()
	keep(map[string]string{"STA": "1", "stb": "2"}) // the plan without it was a mistake
	want("sta", "[operations]")
	keep(map[string]string{"sta": "3", "stb": "2"})
	want("sta", "[]")
	must(t, s.account("sta").createTable("fresh"))
	reopen()
	keep(map[string]string{"sta": "3", "stb": "another"})
	want("sta", "[fresh]")
	want("stb", "[]")

	keep(nil)
	now = now.Add(keptFor + time.Second)
	reopen()
	old := s.accounts["sta"] // a request has it
	keep(nil)
	if f := old.createTable("late"); f != faultGone {
		t.Errorf("a request that was under way writes: %v", f)
	}
	keep(map[string]string{"sta": "3"})
	want("sta", "[]")

	must(t, s.account("sta").createTable("last"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(map[string]string{"sta": "4"}); err == nil {
		t.Error("a closed file has dropped an account")
	}
	want("sta", "nothing")
}

func TestNoTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Suffix: suffix, Authorizer: Unavailable{}, Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

// childVariable tells the test's own executable to be the process that is killed: it names the file.
const childVariable = "POSTERN_TEST_TABLES"

// A process is killed while it writes, again and again. Whatever it said it had written, the next one finds, and of a batch
// all or nothing.
func TestKilled(t *testing.T) {
	const batch = 3
	if path := os.Getenv(childVariable); path != "" {
		a := open(t, path).account("sta")
		if f := a.createTable("operations"); f != nil && f != faultTableExists {
			t.Fatal(f)
		}
		for i := len(a.all(t, "operations")) / batch; ; i++ {
			var changes []change
			for row := range batch {
				changes = append(changes, insert(fmt.Sprintf("%09d", i), fmt.Sprint(row), text("A", strings.Repeat("x", i%3000))))
			}
			if _, _, f := a.apply("operations", changes, time.Now()); f != nil {
				t.Fatal(f)
			}
			fmt.Println("wrote", i)
		}
	}
	path := filepath.Join(t.TempDir(), "tables.db")
	told := -1
	for range 4 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), childVariable+"="+path)
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		begun := told
		for lines := bufio.NewReader(output); ; {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				break
			}
			if n, _ := fmt.Sscanf(line, "wrote %d\n", &told); n == 1 && told == begun+10 {
				_ = child.Process.Kill() // what it says until it is dead counts too
			}
		}
		_ = child.Wait()
		if told < begun+10 {
			t.Fatalf("the process wrote up to %d alone", told)
		}
		s := open(t, path)
		rows := s.account("sta").all(t, "operations")
		if len(rows)%batch != 0 || len(rows)/batch <= told {
			t.Errorf("%d rows, and it told of %d batches of %d", len(rows), told+1, batch)
		}
		for i, e := range rows {
			if e.key != (key{fmt.Sprintf("%09d", i/batch), fmt.Sprint(i % batch)}) || len(e.properties[0].value.text) != i/batch%3000 {
				t.Fatalf("row %d is %v", i, e.key)
			}
		}
		told = len(rows)/batch - 1
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRowsAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string) time.Time {
			return time.Unix(rapid.Int64Range(timeFrom.Unix(), 253402300799).Draw(t, label), rapid.Int64Range(0, 9_999_999).Draw(t, label+" ticks")*100).UTC()
		}
		e := &entity{key: key{"p", "r"}, timestamp: at("timestamp")}
		for i := range rapid.IntRange(0, 5).Draw(t, "properties") {
			v := value{kind: kind(rapid.IntRange(int(kindString), int(kindBinary)).Draw(t, "kind"))}
			switch v.kind {
			case kindString, kindGUID, kindBinary:
				v.text = rapid.String().Draw(t, "text")
			case kindBool, kindInt32, kindInt64:
				v.integer = rapid.Int64().Draw(t, "integer")
			case kindDouble:
				v.double = rapid.Float64().Draw(t, "double")
			case kindDateTime:
				v.time = at("time")
			}
			e.properties = append(e.properties, property{fmt.Sprint("P", i), v})
		}
		if got, err := parseRow(e.key, appendRow(nil, e)); err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("got %+v, %v; want %+v", got, err, e)
		}
	})
}

// FuzzRow: whatever stands in the file, reading it ends; what is taken is written the same way.
func FuzzRow(f *testing.F) {
	f.Add(appendRow(nil, &entity{timestamp: time.Unix(1, 100), properties: []property{text("A", "b"), {"D", value{kind: kindDouble, double: 1}}, {"T", value{kind: kindDateTime, time: timeFrom}}}}))
	f.Add([]byte{rowVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseRow(key{}, data)
		if err != nil {
			return
		}
		again, err := parseRow(key{}, appendRow(nil, e))
		if err != nil || len(again.properties) != len(e.properties) || !again.timestamp.Equal(e.timestamp) {
			t.Fatalf("got %+v, %v; want %+v", again, err, e)
		}
	})
}
