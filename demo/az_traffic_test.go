package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"postern/cloud"
	"postern/demo/application"
)

// What an attempt of a program can meet.
const (
	metStored  = "stores"
	metDenied  = "is denied"
	metReset   = "is reset"   // a connection that was open before
	metRefused = "is refused" // a new connection, by a TCP reset
	metSilence = "is silent"
	metAnswer  = "answers"
)

// outcome is what one attempt met.
type outcome struct {
	began     time.Time
	ended     time.Time
	met       string // one of the above, or an error's text
	requestID string // of a request that was answered
}

// program makes one attempt after another until the story ends, and keeps what each met.
type program struct {
	interval time.Duration

	mu      sync.Mutex // guards what follows
	seen    []outcome
	changed chan struct{} // closed with the next outcome
}

// attempter makes one attempt.
type attempter interface {
	attempt(ctx context.Context) outcome
	close()
}

// begin starts a program.
func (s *azStory) begin(ctx context.Context, what attempter) *program {
	p := &program{interval: s.pace.Interval, changed: make(chan struct{})}
	ctx, stop := context.WithCancel(ctx)
	s.ends = append(s.ends, stop)
	s.work.Go(func() {
		defer what.close()
		ticker := time.NewTicker(p.interval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			began := time.Now()
			met := what.attempt(ctx)
			met.began, met.ended = began, time.Now()
			p.note(met)
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return p
}

func (p *program) note(met outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, met)
	close(p.changed)
	p.changed = make(chan struct{})
}

// next waits for the first outcome from a number on that began after a moment, and answers the number behind it.
func (p *program) next(ctx context.Context, from int, after time.Time) (outcome, int, error) {
	for {
		p.mu.Lock()
		seen, changed := p.seen, p.changed
		p.mu.Unlock()
		for ; from < len(seen); from++ {
			if seen[from].began.After(after) {
				return seen[from], from + 1, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return outcome{}, from, fmt.Errorf("wait for its next attempt: %w", context.Cause(ctx))
		}
	}
}

// wanted is what an attempt shall meet: "is denied from 10.13.76.36".
var wanted = regexp.MustCompile(`^(stores|is denied|is refused|is silent|answers)(?: from (.+))?$`)

// expect compares what the program met since a command began with what it shall meet: "is reset" at some time since then, if
// that is wanted, and not otherwise; then, from the command's end on, by its very first attempt, what else is wanted. A request
// without an answer in its time is passed over, since a machine may be busy, but for a program that shall meet silence. It
// answers what was met, in words.
func (p *program) expect(ctx context.Context, s *azStory, began, ended time.Time, what string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pace.patience())
	defer cancel()
	what, reset := strings.CutPrefix(what, metReset+", then ")
	want := wanted.FindStringSubmatch(what)
	if want == nil {
		return "", fmt.Errorf("%q is not known", what)
	}
	resets, err := p.resets(ctx, began, ended, reset)
	if err != nil {
		return "", err
	}
	met := outcome{met: metSilence}
	for number := 0; met.met == metReset || met.met == metSilence; {
		if met, number, err = p.next(ctx, number, ended); err != nil {
			return "", err
		}
		if met.met == want[1] {
			break
		}
	}
	if met.met != want[1] {
		return "", fmt.Errorf("its next attempt %s", met.met)
	}
	text := resets + met.met
	if met.requestID == "" {
		return text, nil
	}
	entry, err := s.logged(ctx, met.requestID)
	if err != nil {
		return "", err
	}
	var caller attempt
	caller.read(entry)
	if from := want[2]; from == "a platform address" && !caller.fromPlatform() || from != "" && from != "a platform address" && caller.Caller != from {
		return "", fmt.Errorf("its caller is %s (%s)", caller.Caller, caller.CallerKind)
	}
	return fmt.Sprintf("%s from %s: %s", text, caller.Caller, strings.TrimSpace(shortenLab(s, caller.Rule+" "+caller.MissingRule))), nil
}

// resets looks for a reset of the open connection since a command began. Where one is wanted it is waited for; where none is,
// there must be none up to the first attempt behind the command's end.
func (p *program) resets(ctx context.Context, began, ended time.Time, wanted bool) (string, error) {
	for number := 0; ; {
		met, next, err := p.next(ctx, number, began)
		switch {
		case err != nil && wanted:
			return "", fmt.Errorf("no connection was reset: %w", err)
		case err != nil:
			return "", err
		case met.met == metReset && wanted:
			return fmt.Sprintf("is reset %.1f s after the command began, then ", met.ended.Sub(began).Seconds()), nil
		case met.met == metReset:
			return "", errors.New("its connection was reset")
		case !wanted && met.began.After(ended):
			return "", nil
		}
		number = next
	}
}

// shortenLab leaves out of ids what all in the story have in common.
func shortenLab(s *azStory, text string) string {
	return strings.ReplaceAll(text, "/subscriptions/"+s.door.Subscription+"/resourceGroups/lab/providers/Microsoft.Network/", "")
}

// rows writes rows to an account over one connection, which it opens again when it has broken.
type rows struct {
	stage   *stage
	from    cloud.Machine
	client  *application.Client
	account string

	open  net.Conn
	read  *bufio.Reader
	count int
}

func (r *rows) close() {
	if r.open != nil {
		r.open.Close()
		r.open = nil
	}
}

func (r *rows) attempt(ctx context.Context) outcome {
	ctx, cancel := context.WithTimeout(ctx, r.stage.pace.Timeout)
	defer cancel()
	fresh := r.open == nil
	answer, err := r.ask(ctx)
	if err == nil && answer.Status == http.StatusNotFound { // nobody has made the table yet
		if err = r.client.EnsureTable(ctx, r.account); err == nil {
			answer, err = r.ask(ctx)
		}
	}
	if err != nil {
		r.close()
	}
	var refusal *application.ServiceError
	switch {
	case err == nil && answer.Status == statusCreated:
		return outcome{met: metStored, requestID: answer.RequestID}
	case err == nil && answer.Status == statusForbidden:
		return outcome{met: metDenied, requestID: answer.RequestID}
	case err == nil:
		return outcome{met: answer.Refusal("write a row").Error()}
	case errors.As(err, &refusal) && refusal.Status == statusForbidden:
		return outcome{met: metDenied, requestID: refusal.RequestID}
	case application.IsRefused(err), fresh && application.IsReset(err):
		return outcome{met: metRefused}
	case application.IsReset(err):
		return outcome{met: metReset}
	case application.IsTimeout(err):
		return outcome{met: metSilence}
	}
	return outcome{met: "met " + err.Error()}
}

// ask writes one row, whatever the answer.
func (r *rows) ask(ctx context.Context) (*application.Answer, error) {
	if r.open == nil {
		one, err := connect(ctx, r.from, r.client, r.account)
		if err != nil {
			return nil, err
		}
		r.open, r.read = one, bufio.NewReader(one)
	}
	r.count++
	request, err := r.client.NewRequest(ctx, http.MethodPost, r.account, "/"+application.Table, map[string]any{
		"PartitionKey": "az", "RowKey": fmt.Sprint(r.count), "Message": "told with az",
	})
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := r.open.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if err := request.Write(r.open); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(r.read, request)
	if err != nil {
		return nil, err
	}
	return application.ReadAnswer(response)
}

// pulse makes a new connection for each attempt, and wants a line back.
type pulse struct {
	from  cloud.Machine
	to    string
	limit time.Duration
}

func (p *pulse) close() {}

func (p *pulse) attempt(ctx context.Context) outcome {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	conn, err := p.from.DialContext(ctx, "tcp", p.to)
	if err != nil {
		return outcome{met: metSilence}
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if conn.SetDeadline(deadline) != nil {
		return outcome{met: metSilence}
	}
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		return outcome{met: metSilence}
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "hello\n" {
		return outcome{met: metSilence}
	}
	return outcome{met: metAnswer}
}
