// Package lab builds the machines of a small cloud on one computer: hosts, gateways, edges, VMs, an IPv6 fabric and an
// Internet, each a Linux network namespace, joined by veth pairs. It lays wires, addresses and routes; what judges
// packets (datapath/kernel) is attached by others to the interfaces named here.
//
//	 VM               host                  fabric                gateway
//	+------+        +------------+        +--------+        +------------------+
//	| eth0 |--------| nic<N>     |        |        |        | fabric0     lo   | AnyIP: service and
//	+------+        |    fabric0 |--------| router |--------|                  | platform locators,
//	                +------------+        |  IPv6  |        |        inet0     | public addresses
//	                                      |        |        +----------|-------+
//	                                      |        |                   |
//	                +------------+        |        |        +----------|-------+      +----------+
//	                |    fabric0 |--------|        |        | Internet: router |------| outsider |
//	                | shadow0    |        +--------+        |  IPv4            |      +----------+
//	                |      inet0 |--------------------------|                  |
//	                +------------+ edge                     +------------------+
//
// Everything is named after its owner process, so that Sweep can tell leftovers of a dead run from a living one. Only
// Linux can do this; elsewhere every entry returns a *PrerequisiteError.
package lab
