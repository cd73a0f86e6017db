//go:build linux

// Package kernel is the data path in eBPF: TCX programs on the links of a host's NICs, on its fabric interface, and on an
// edge's two sides. The programs stand in bpf/, follow docs/packet.md, and are compared with the Go pipeline on random
// packets. This package loads them, fills their maps from a plan, and attaches them.
//
// Programs' maps and links are pinned under a folder of a bpffs. They go on working without the process, with
// all flows; the next Open adopts them, and its first Apply reads back what is there before it changes anything.
package kernel
