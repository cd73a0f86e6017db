package gateway

import (
	"bufio"
	"net"
	"sync"
	"testing"
	"time"
)

// BenchmarkRevoke takes away a rule that thousands of idle connections came in by. ms/reset is until the last client has its
// reset, ms/apply until Apply returns.
func BenchmarkRevoke(b *testing.B) {
	const connections = 5000
	r := newRig(b, nil)
	allow, deny := cloud(storageAccount("sta", ruleFor("snet-app", identityApp))), cloud(storageAccount("sta", ruleFor("snet-other", identityOther)))
	address := r.listen(byEndpoint(identityApp, "10.13.76.36"), r.plain)
	var applied, reset time.Duration
	for b.Loop() {
		r.apply(allow)
		clients := make([]*keepAlive, connections)
		var open, ended sync.WaitGroup
		for at := range 16 {
			open.Go(func() {
				for i := at; i < connections; i += 16 {
					conn, err := net.Dial("tcp", address)
					if err != nil {
						b.Error(err)
						return
					}
					clients[i] = &keepAlive{conn, bufio.NewReaderSize(conn, 512)}
					if status, err := clients[i].get(tableHost); status != 200 {
						b.Errorf("got %d, %v", status, err)
					}
				}
			})
		}
		open.Wait()
		if b.Failed() {
			return
		}
		for _, client := range clients {
			ended.Go(func() {
				if err := client.wasReset(); err != nil {
					b.Error(err)
				}
				client.Close()
			})
		}
		start := time.Now()
		r.apply(deny)
		applied += time.Since(start)
		ended.Wait()
		reset += time.Since(start)
	}
	b.ReportMetric(milliseconds(applied)/float64(b.N), "ms/apply")
	b.ReportMetric(milliseconds(reset)/float64(b.N), "ms/reset")
}
