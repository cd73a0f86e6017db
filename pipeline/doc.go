// Package pipeline judges packets: docs/packet.md in pure Go. It is the userspace data path, the engine of explain, and
// what the eBPF programs are compared with. It does no I/O; a driver hands it packets and sends what it answers.
//
// A Host judges for the NICs of a host, an Edge for the join of fabric and Internet. Both take their plan by Apply, which
// builds an immutable snapshot and swaps one pointer, so packets are judged from many goroutines without a common lock.
// What a packet leaves behind (flows, first fragments, counters) stands beside its own locks and outlives a plan.
//
// The way of a packet through the files: host.go takes it, outbound.go and inbound.go judge it step by step, with the
// steps of security.go, fragments.go, flows.go and route.go; emit.go writes what comes out.
package pipeline
