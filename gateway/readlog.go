package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"postern/firewall"
)

// maxLine bounds a line that ReadLog takes: more than the largest entry, every byte of which is escaped.
const maxLine = 256 << 10

// UnreadableLinesError says that a log has lines that are no entries, such as one torn by a full disk.
type UnreadableLinesError struct {
	Count int
	First int // its number, from 1
	Cause error
}

func (e *UnreadableLinesError) Error() string {
	return fmt.Sprintf("read access log: %d lines are no entries, the first is line %d: %v: the other lines are complete",
		e.Count, e.First, e.Cause)
}

func (e *UnreadableLinesError) Unwrap() error { return e.Cause }

// ParseLine reads one line of an access log.
func ParseLine(line []byte) (Entry, error) {
	var entry Entry
	if err := json.Unmarshal(line, &entry); err != nil {
		return Entry{}, fmt.Errorf("parse access log line: %w", err)
	}
	return entry, nil
}

// ReadLog reads all entries. Lines that are none are left out and reported by an *UnreadableLinesError, beside the
// entries; any other error is the reader's.
func ReadLog(r io.Reader) ([]Entry, error) {
	var entries []Entry
	var unreadable UnreadableLinesError
	reader := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, err := reader.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			for err == bufio.ErrBufferFull {
				_, err = reader.ReadSlice('\n')
			}
			unreadable.note(number, errLongLine)
		} else if len(strings.TrimSpace(string(line))) > 0 {
			if entry, parseErr := ParseLine(line); parseErr != nil {
				unreadable.note(number, parseErr)
			} else {
				entries = append(entries, entry)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return entries, fmt.Errorf("read access log: line %d: %w", number, err)
		}
	}
	if unreadable.Count > 0 {
		return entries, &unreadable
	}
	return entries, nil
}

func (e *UnreadableLinesError) note(number int, cause error) {
	if e.Count == 0 {
		e.First, e.Cause = number, cause
	}
	e.Count++
}

// Filter picks entries; a zero field takes every entry. Names and ids compare without regard to case.
type Filter struct {
	Account        string
	Service        string
	Operation      string
	StatusText     string
	CallerKind     firewall.Kind
	VirtualNetwork string       // id, or its last segment
	Subnet         string       // id, or its last segment
	Caller         netip.Prefix // has the caller's address
	Since, Until   time.Time    // Since included, Until not
	DeniedOnly     bool
}

// Match tells whether the filter takes an entry.
func (f Filter) Match(entry Entry) bool {
	is := func(want, have string) bool { return want == "" || strings.EqualFold(want, have) }
	names := func(want, id string) bool { return is(want, id) || strings.EqualFold(want, lastSegment(id)) }
	if !is(f.Account, entry.Account) || !is(f.Service, entry.Service) || !is(f.Operation, entry.Operation) ||
		!is(f.StatusText, entry.StatusText) || !is(string(f.CallerKind), string(entry.CallerKind)) ||
		!names(f.VirtualNetwork, entry.VirtualNetwork) || !names(f.Subnet, entry.Subnet) {
		return false
	}
	if f.Caller.IsValid() {
		caller, err := netip.ParseAddrPort(entry.CallerIPAddress)
		if err != nil || !f.Caller.Contains(caller.Addr()) {
			return false
		}
	}
	if !f.Since.IsZero() && entry.Time.Before(f.Since) || !f.Until.IsZero() && !entry.Time.Before(f.Until) {
		return false
	}
	return !f.DeniedOnly || entry.Denied()
}

// Select is the entries that a filter takes, in their order.
func Select(entries []Entry, filter Filter) []Entry {
	var selected []Entry
	for _, entry := range entries {
		if filter.Match(entry) {
			selected = append(selected, entry)
		}
	}
	return selected
}

// RenderTable writes entries as a table for people, one line each. WHY is what admitted a request, or what was missing.
// Text from outside loses its control characters, so that no request can steer a reader's terminal.
func RenderTable(w io.Writer, entries []Entry) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = printable(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t")) // the tabwriter keeps its error for Flush
	}
	row("TIME", "ACCOUNT", "SERVICE", "OPERATION", "STATUS", "CALLER", "BY", "SUBNET", "MS", "WHY")
	for _, entry := range entries {
		status := entry.StatusText
		if entry.StatusCode != 0 {
			status = strconv.Itoa(entry.StatusCode) + " " + status
		}
		why := entry.Rule
		if entry.Denied() {
			why = "missing: " + entry.MissingRule
		}
		if entry.LostLines > 0 {
			why = strings.TrimSpace(fmt.Sprintf("%s (%d lines lost before)", why, entry.LostLines))
		}
		subnet := lastSegment(entry.Subnet)
		if subnet != "" {
			subnet = lastSegment(entry.VirtualNetwork) + "/" + subnet
		}
		row(entry.Time.UTC().Format("2006-01-02T15:04:05.000Z"), entry.Account, entry.Service, entry.Operation, status,
			entry.CallerIPAddress, string(entry.CallerKind), subnet, strconv.FormatFloat(entry.DurationMs, 'f', 1, 64), why)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write access log table: %w", err)
	}
	return nil
}

func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

func printable(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}
