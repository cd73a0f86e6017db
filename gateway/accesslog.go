package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"postern/firewall"
)

// Entry is one line of the access log: one request, or one connection that a change of rules closed (FW-13). The JSON
// names are fixed. Text from outside is cut to a bounded length; queries are left out, since they carry signatures.
type Entry struct {
	Time            time.Time     `json:"time"`            // when the request's header was read, UTC
	Account         string        `json:"account"`         // the instance's name, lower case; "" where nothing names one
	ResourceID      string        `json:"resourceId"`      // the instance's id; "" where there is none
	Service         string        `json:"service"`         // table, blob, queue, file, dfs, web, or the service's name; "" where nothing names one
	Protocol        string        `json:"protocol"`        // http, https, tls, tcp, or the service's own
	Operation       string        `json:"operation"`       // InsertEntity, QueryEntities, GetBlob, ... or Unknown
	Method          string        `json:"method"`          // "" for a closed connection
	URI             string        `json:"uri"`             // the path as it was sent, without query
	StatusCode      int           `json:"statusCode"`      // 0 for a closed connection
	StatusText      string        `json:"statusText"`      // Success, the service's error code, or a Status constant
	CallerIPAddress string        `json:"callerIpAddress"` // IP:port; the private address when it came by an endpoint (SE-2)
	CallerKind      firewall.Kind `json:"callerKind"`      // endpoint, public, platform, unknown
	VirtualNetwork  string        `json:"virtualNetwork"`  // id, of an endpoint caller
	Subnet          string        `json:"subnet"`          // id, of an endpoint caller
	RequestBytes    int64         `json:"requestBytes"`    // of the body, as far as it was asked for: 0 for a denial
	ResponseBytes   int64         `json:"responseBytes"`   // of the body
	DurationMs      float64       `json:"durationMs"`      // from the header's end to the answer's; of a closed connection its age
	Rule            string        `json:"rule"`            // what admitted it
	MissingRule     string        `json:"missingRule"`     // what would have admitted it, for a denial
	Backend         string        `json:"backend"`         // host:port that served it; "" for none
	RequestID       string        `json:"requestId"`       // x-ms-request-id, the service's own if it gave one
	UserAgent       string        `json:"userAgent"`
	LostLines       uint64        `json:"lostLines,omitempty"` // lines before this one that were not written
}

// Status texts that are not error codes of the service; the last three are Storage Analytics' words.
const (
	StatusSuccess            = "Success"
	StatusConnectionRevoked  = "ConnectionRevoked" // a change of rules closed the connection
	StatusLinesLost          = "LinesLost"         // no request: only LostLines means something
	StatusClientOtherError   = "ClientOtherError"  // 4xx of the backend without an error code
	StatusServerOtherError   = "ServerOtherError"  // 5xx of the backend without an error code
	StatusNotServed          = "NotServed"         // a port that the instance does not have
	StatusNotTaken           = "NotTaken"          // no room for another connection, or the caller's port is in use
	StatusNetworkError       = "NetworkError"      // the client or the backend broke off
	StatusNotUnderstood      = "NotUnderstood"     // no request or handshake, or one that took too long; statusCode is 0
	maxLoggedText            = 2048                // bytes of a text from outside
	maxWrite                 = 64 << 10            // bytes collected for one write
	defaultAccessLogCapacity = 8192

	// logPause is how long the writer lets lines collect after a write: waking it for each would cost a connection more than
	// the line does.
	logPause = 5 * time.Millisecond
)

// Denied tells whether the gateway's judgement stands behind the entry: a refused request or a revoked connection.
func (e Entry) Denied() bool { return e.MissingRule != "" }

// AccessLog writes entries as JSON lines, in a goroutine of its own, so that a slow disk never slows a request. It
// holds a bounded number of entries; what does not fit is counted, and the next line that is written reports it.
type AccessLog struct {
	queue   chan queued
	hurry   chan struct{} // ends the writer's pause
	stop    chan struct{}
	stopped chan struct{}
	closing atomic.Bool
	pending atomic.Uint64 // lost, and not yet reported in a line
	lost    atomic.Uint64 // lost since the start
	failure error         // of the last write; the writer's own until stopped
}

// queued is an entry, or a wish to hear when everything before it is written.
type queued struct {
	entry  Entry
	more   []Entry // behind it
	synced chan<- struct{}
}

// NewAccessLog starts a log that appends to w, one Write for many lines where they come fast. capacity is how many
// entries may wait; 0 takes 8192. Close it.
func NewAccessLog(w io.Writer, capacity int) *AccessLog {
	log := newAccessLog(capacity)
	go log.run(w, nil)
	return log
}

// newAccessLog is a log whose writer has not begun.
func newAccessLog(capacity int) *AccessLog {
	if capacity <= 0 {
		capacity = defaultAccessLogCapacity
	}
	return &AccessLog{
		queue:   make(chan queued, capacity),
		hurry:   make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
}

// Record takes an entry and returns at once. Where the queue is full, or the log closed, the entry is lost and counted.
func (l *AccessLog) Record(entry Entry) {
	if !l.closing.Load() {
		select {
		case l.queue <- queued{entry: entry}:
			if len(l.queue) > cap(l.queue)/2 {
				l.soon()
			}
			return
		default:
		}
	}
	l.lose(1)
}

// recordAll takes entries that come all at once, as one of those that may wait.
func (l *AccessLog) recordAll(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	if !l.closing.Load() {
		select {
		case l.queue <- queued{entry: entries[0], more: entries[1:]}:
			l.soon()
			return
		default:
		}
	}
	l.lose(uint64(len(entries)))
}

// recordWaiting takes the entry of who has nothing else to do: it waits for a place.
func (l *AccessLog) recordWaiting(entry Entry) {
	if l.closing.Load() {
		l.lose(1)
		return
	}
	if len(l.queue) > cap(l.queue)/2 {
		l.soon()
	}
	select {
	case l.queue <- queued{entry: entry}:
	case <-l.stop:
		l.lose(1)
	}
}

// soon wakes the writer from its pause.
func (l *AccessLog) soon() {
	select {
	case l.hurry <- struct{}{}:
	default: // it has been told
	}
}

// Lost is how many lines were not written since the start.
func (l *AccessLog) Lost() uint64 { return l.lost.Load() }

// Sync returns when everything recorded before the call was written or lost.
func (l *AccessLog) Sync(ctx context.Context) error {
	synced := make(chan struct{})
	select {
	case l.queue <- queued{synced: synced}:
		l.soon()
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sync access log: %w", ctx.Err())
	}
	select {
	case <-synced:
	case <-l.stopped:
	case <-ctx.Done():
		return fmt.Errorf("sync access log: %w", ctx.Err())
	}
	return nil
}

// Close writes what waits, and ends the log. It answers the last write's error, or the context's where w hangs.
func (l *AccessLog) Close(ctx context.Context) error {
	if !l.closing.Swap(true) {
		close(l.stop)
	}
	select {
	case <-l.stopped:
		return l.failure
	case <-ctx.Done():
		return fmt.Errorf("close access log: lines still wait for a slow writer: %w", ctx.Err())
	}
}

// Lose counts lines that there was nobody to write for: the next line that is written reports them.
func (l *AccessLog) Lose(lines uint64) { l.lose(lines) }

func (l *AccessLog) lose(lines uint64) {
	l.pending.Add(lines)
	l.lost.Add(lines)
}

// run writes to w until the log is closed; then it closes what is not nil.
func (l *AccessLog) run(w io.Writer, closer io.Closer) {
	defer close(l.stopped)
	batch := newBatch(l, w)
	pause := time.NewTimer(logPause)
	defer pause.Stop()
	for {
		select {
		case item := <-l.queue:
			batch.take(item)
		case <-l.stop:
			for range len(l.queue) {
				batch.take(<-l.queue)
			}
			if l.pending.Load() > 0 {
				batch.add(Entry{Time: time.Now().UTC(), StatusText: StatusLinesLost})
			}
			batch.flush()
			if closer != nil {
				l.failure = errors.Join(l.failure, closer.Close())
			}
			return
		}
		if len(l.queue) > 0 && batch.buffer.Len() < maxWrite {
			continue
		}
		batch.flush()
		if len(l.queue) > 0 {
			continue
		}
		pause.Reset(logPause)
		select {
		case <-pause.C:
		case <-l.hurry:
		case <-l.stop:
		}
	}
}

// batch collects encoded lines until there is a pause or enough of them.
type batch struct {
	log      *AccessLog
	w        io.Writer
	buffer   bytes.Buffer
	encoder  *json.Encoder // into buffer
	lines    uint64
	reported uint64 // lost lines that lines of this batch report
	torn     bool   // the last write ended inside a line
}

func newBatch(log *AccessLog, w io.Writer) *batch {
	b := &batch{log: log, w: w}
	b.encoder = json.NewEncoder(&b.buffer)
	b.encoder.SetEscapeHTML(false)
	return b
}

func (b *batch) take(item queued) {
	if item.synced != nil {
		b.flush()
		close(item.synced)
		return
	}
	b.add(item.entry)
	for _, entry := range item.more {
		if b.buffer.Len() >= maxWrite {
			b.flush()
		}
		b.add(entry)
	}
}

func (b *batch) add(entry Entry) {
	entry.LostLines = b.log.pending.Swap(0)
	b.reported += entry.LostLines
	entry.URI, entry.UserAgent = cut(entry.URI), cut(entry.UserAgent)
	entry.Method, entry.RequestID = cut(entry.Method), cut(entry.RequestID)
	if err := b.encoder.Encode(entry); err != nil {
		panic("gateway: a log entry of plain fields does not marshal: " + err.Error())
	}
	b.lines++
}

func (b *batch) flush() {
	if b.buffer.Len() == 0 {
		return
	}
	line := b.buffer.Bytes()
	if b.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := b.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	b.log.failure = nil
	if err != nil {
		// How many of the lines arrived whole is the writer's secret: all count as lost.
		b.log.failure = fmt.Errorf("write access log: %w", err)
		b.log.lose(b.lines)
		b.log.pending.Add(b.reported)
		b.torn = b.torn || n > 0
	} else {
		b.torn = false
	}
	b.buffer.Reset()
	b.lines, b.reported = 0, 0
}

func cut(text string) string {
	if len(text) > maxLoggedText {
		text = text[:maxLoggedText]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// errLongLine is a line of a log that no AccessLog wrote.
var errLongLine = errors.New("line is longer than any entry")
