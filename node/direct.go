package node

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"postern/gateway"
)

// directPath is the gateway's part of a judge: nil for none.
func directPath(direct Direct) gateway.DirectPath {
	if direct == nil {
		return nil
	}
	return direct
}

var directPackets = prometheus.NewDesc("postern_gateway_direct_packets_total",
	"Packets to and from instances' own addresses, by what became of them.", []string{"reason"}, nil)

// directCollector reads the kernel's counters when it is asked.
type directCollector struct{ direct Direct }

// Describe implements prometheus.Collector.
func (c directCollector) Describe(to chan<- *prometheus.Desc) { to <- directPackets }

// Collect implements prometheus.Collector.
func (c directCollector) Collect(to chan<- prometheus.Metric) {
	counters, err := c.direct.Counters()
	if err != nil {
		to <- prometheus.NewInvalidMetric(directPackets, err)
		return
	}
	for _, counter := range counters {
		to <- prometheus.MustNewConstMetric(directPackets, prometheus.CounterValue, float64(counter.Packets), counter.Reason.String())
	}
}

// measureDirect registers what is counted of own addresses, where there is a judge of them.
func measureDirect(registry *prometheus.Registry, direct Direct) error {
	if direct == nil {
		return nil
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_gateway_direct_connections", Help: "Open connections to instances' own addresses.",
	}, func() float64 {
		open, err := direct.Open()
		if err != nil {
			return -1
		}
		return float64(open)
	})
	lost := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "postern_gateway_direct_events_lost_total", Help: "Connections to instances' own addresses that have no line in the access log, since the kernel told of them faster than they were read.",
	}, func() float64 {
		lost, err := direct.Lost()
		if err != nil {
			return -1
		}
		return float64(lost)
	})
	if err := errors.Join(registry.Register(open), registry.Register(lost), registry.Register(directCollector{direct})); err != nil {
		return fmt.Errorf("register metrics of own addresses: %w", err)
	}
	return nil
}
