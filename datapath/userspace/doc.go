// Package userspace is the data path without privileges: the whole fabric, an Internet beside it and every machine on
// them in one process, on any operating system. The Go pipeline judges every packet between gVisor network stacks.
//
//	VM (gVisor, Ethernet) ── Host (pipeline.Host) ──┐             ┌── Gateway (gVisor, every service address)
//	VM ──────────────────────┘                   Fabric           │        │
//	                                                └── Edge (pipeline.Edge, default outbound) ── Internet ── outsiders
//
// Host, Gateway and Edge are drivers: each is given the plan of its node and makes what is there equal to it. Packets
// wait in bounded queues between nodes; what does not fit is dropped and counted, as on a real wire.
package userspace
