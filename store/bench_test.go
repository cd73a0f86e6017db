package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/plan"
)

// BenchmarkEnforce measures the way of a plan: PutPlans changes the plans of all nodes, each node sees its own and
// reports, WaitApplied returns. Nodes are simulated on one connection.
func BenchmarkEnforce(b *testing.B) {
	for _, nodes := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			server := open(b)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			names := make([]string, nodes)
			for i := range names {
				names[i] = fmt.Sprintf("h%04d", i)
				updates := server.WatchPlan(ctx, names[i])
				go func() {
					for update := range updates {
						if server.ReportApplied(ctx, names[i], update.Revision, nil) != nil {
							return
						}
					}
				}()
			}
			var times []time.Duration
			revision := int64(0)
			for b.Loop() {
				revision++
				plans := make(map[string]plan.Node, nodes)
				for _, name := range names {
					plans[name] = host(name, 1500+int(revision%1000))
				}
				began := time.Now()
				if err := server.PutPlans(ctx, plans, revision); err != nil {
					b.Fatal(err)
				}
				if err := server.WaitApplied(ctx, revision); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
