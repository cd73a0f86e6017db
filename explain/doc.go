// Package explain follows one packet through the whole cloud and tells every step with its reason: from a NIC, by the same
// pipeline that judges real packets, over the fabric, to another NIC, a service's gateway, the platform or the Internet
// (ROUTE-17). It is pure: it judges by plans alone, sends nothing and changes nothing. The packet is the first one of a
// new connection: a TCP SYN, or a UDP datagram.
package explain
