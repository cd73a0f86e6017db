package pipeline

import (
	"encoding/binary"

	"postern/model"
	"postern/packet"
)

// An ARP packet for Ethernet and IPv4 (RFC 826):
//
//	0  hardware 1   2  protocol 0x0800   4  lengths 6, 4   6  operation
//	8  sender MAC  14  sender address   18  target MAC    24  target address
const (
	arpLen          = 28
	arpHead         = 1<<48 | packet.EtherTypeIPv4<<32 | 6<<24 | 4<<16
	arpRequest      = 1
	arpReply        = 2
	arpSenderMAC    = 8
	arpSenderIPv4   = 14
	arpTargetMAC    = 18
	arpTargetIPv4   = 24
	arpReplyFrame   = packet.EthernetLen + arpLen
	arpOperationEnd = 8
)

// arp answers for every address but the NIC's own, so that all of the VM's packets come to the router.
func (j *judge) arp(request []byte) Result {
	if len(request) < arpLen || binary.BigEndian.Uint64(request[:arpOperationEnd]) != arpHead|arpRequest ||
		model.MAC(request[arpSenderMAC:arpSenderIPv4]) != j.nic.mac ||
		[4]byte(request[arpSenderIPv4:arpTargetMAC]) != j.nic.ipv4 ||
		[4]byte(request[arpTargetIPv4:arpLen]) == j.nic.ipv4 {
		return j.drop(stepARP, model.ReasonARPIgnored)
	}
	frame := j.out[:arpReplyFrame]
	packet.PutEthernet(frame, j.nic.mac, model.RouterMAC, packet.EtherTypeARP)
	reply := frame[packet.EthernetLen:]
	binary.BigEndian.PutUint64(reply, arpHead|arpReply)
	copy(reply[arpSenderMAC:], model.RouterMAC[:])
	copy(reply[arpSenderIPv4:], request[arpTargetIPv4:arpLen])
	copy(reply[arpTargetMAC:], j.nic.mac[:])
	copy(reply[arpTargetIPv4:], j.nic.ipv4[:])
	return j.result(model.Reply, model.ReasonARP, frame)
}
