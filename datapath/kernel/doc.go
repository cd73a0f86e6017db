//go:build linux

// Package kernel is the data path in eBPF: TCX programs on the links of a host's NICs, on its fabric interface, and on an
// edge's two sides. The programs stand in bpf/, follow docs/packet.md, and are compared with the Go pipeline on random
// packets. This package loads them, fills their maps from a plan, and attaches them.
//
// Programs' maps and links are pinned under a folder of a bpffs. They go on working without the process, with
// all flows; the next Open adopts them, and its first Apply reads back what is there before it changes anything.
//
// The kernel marks a packet as encapsulated once. A VM on a veth that has a tunnel of its own (VXLAN, GRE, IPIP) must therefore
// cut its tunnel's packets into segments itself: switch tx-udp_tnl-segmentation and its kin off on the VM's interface, or
// the kernel drops what is larger than a packet. A VM on a tap does so anyway.
package kernel
