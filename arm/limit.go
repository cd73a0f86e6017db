package arm

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"postern/resource"
)

// Rate is how much one client may ask: a bucket of Burst requests that fills by PerSecond.
type Rate struct {
	PerSecond float64
	Burst     int
}

// DefaultRate lets a client's scripts run unhindered and a runaway loop not starve the others.
var DefaultRate = Rate{PerSecond: 500, Burst: 2000}

// signInRate bounds token requests and other requests without a token, by address.
var signInRate = Rate{PerSecond: 50, Burst: 500}

// maxClients bounds how many clients are remembered; the table begins anew when it is full.
const maxClients = 4096

type limits struct{ requests, signIn *buckets }

func newLimits(requests Rate) *limits {
	return &limits{&buckets{rate: requests}, &buckets{rate: signInRate}}
}

// buckets are the limiters of clients by key.
type buckets struct {
	rate Rate

	mu       sync.Mutex // guards what follows
	byClient map[string]*rate.Limiter
}

func (b *buckets) allow(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter, ok := b.byClient[client]
	if !ok {
		if b.byClient == nil || len(b.byClient) >= maxClients {
			b.byClient = make(map[string]*rate.Limiter)
		}
		limiter = rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)
		b.byClient[client] = limiter
	}
	return limiter.AllowN(time.Now(), 1)
}

// limitError says that a client asks too much.
type limitError struct{}

func (*limitError) Error() string { return "too many requests" }

// tooMany is the refusal. Clients read a Retry-After of 0 as half a minute, so it is 1 at least (in seconds).
func (d *Door) tooMany(w http.ResponseWriter) {
	after := strconv.Itoa(int(max(1, math.Ceil(1/d.Rate.PerSecond))))
	w.Header().Set("Retry-After", after)
	respond(w, 0, nil, &resource.Error{Code: "TooManyRequests", Status: http.StatusTooManyRequests,
		Message: fmt.Sprintf("The number of requests is over the limit of %v a second. Please try again after %s seconds.", d.Rate.PerSecond, after)})
}

// limitKey is the address that a client without a token is known by.
func limitKey(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
