package pipeline

import (
	"postern/model"
	"postern/packet"
	"postern/translate"
)

// fromVM is "From the VM" of docs/packet.md, step by step.
func (j *judge) fromVM(number uint32, frame []byte) Result {
	if j.snapshot != nil {
		j.nic = j.snapshot.nics[number]
	}
	if j.nic == nil {
		return j.drop(stepPlan, model.ReasonUnsynced)
	}
	j.now = j.host.now()
	if len(frame) < packet.EthernetLen {
		return j.drop(stepFrame, model.ReasonMalformed)
	}
	ethernet := packet.Ethernet(frame)
	if ethernet.Source() != j.nic.mac {
		return j.drop(stepFrame, model.ReasonSourceMAC)
	}
	switch ethernet.Type() {
	case packet.EtherTypeIPv4:
		return j.ipv4FromVM(ethernet.Payload())
	case packet.EtherTypeARP:
		return j.arp(ethernet.Payload())
	case packet.EtherTypeVLAN, packet.EtherTypeQinQ:
		return j.drop(stepFrame, model.ReasonVLAN)
	case packet.EtherTypeIPv6:
		return j.drop(stepFrame, model.ReasonIPv6)
	}
	return j.drop(stepFrame, model.ReasonEtherType)
}

// ipv4FromVM is steps 3 to 12.
func (j *judge) ipv4FromVM(bytes []byte) Result {
	ip, ok := packet.CheckIPv4(bytes)
	if !ok {
		return j.drop(stepFrame, model.ReasonMalformed)
	}
	d := describeIPv4(ip)
	if j.trace != nil {
		j.trace.frame(&d, len(ip))
	}
	if reason := j.checkSource(&d); reason != model.ReasonNone {
		return j.drop(stepSource, reason)
	}
	if reason := j.judgeFragment(&d, outgoing, false); reason != model.ReasonNone {
		return j.drop(stepFragment, reason)
	}
	if d.piece != laterFragment {
		if reason := j.admitOutgoing(&d); reason != model.ReasonNone {
			return j.drop(stepSecurity, reason)
		}
		j.rememberFragment(&d, outgoing)
	}
	taken, step, reason := j.findWay(&d)
	if reason == model.ReasonEndpointPolicy && d.protocol == model.ProtocolTCP && d.piece != laterFragment {
		return j.resetVM(stepPolicy, ip, &d, reason)
	}
	if reason != model.ReasonNone {
		return j.drop(step, reason)
	}
	var translated []byte
	if taken.translated {
		if translated, reason = j.translateOut(&taken, ip, &d); reason != model.ReasonNone {
			return j.drop(stepTranslate, reason)
		}
	}
	if mtu, fits := j.fits(&taken, ip); !fits {
		return j.tooBig(ip, &d, mtu)
	}
	if d.piece != laterFragment && !d.icmpError && !j.noteSent(&d, &taken) {
		return j.resetVM(stepPath, ip, &d, model.ReasonPathChanged)
	}
	if taken.translated {
		return j.emitTranslated(&taken, translated, &d)
	}
	return j.encapsulate(&taken, ip, &d)
}

// checkSource is step 4: whose packet it may be (SE-13), and for whom.
func (j *judge) checkSource(d *datagram) model.Reason {
	if d.source != j.nic.ipv4 && (!j.nic.forwarding || unusable(d.source)) {
		return model.ReasonSourceAddress
	}
	if unusable(d.destination) {
		return model.ReasonDestination
	}
	if j.trace != nil {
		j.trace.sourceChecked(d, j.nic)
	}
	return model.ReasonNone
}

// findWay is steps 7 and 8 up to what a translated way asks besides. With a reason, step names where it was met.
func (j *judge) findWay(d *datagram) (way, string, model.Reason) {
	if isPlatform(d.destination) {
		taken, reason := j.wayToPlatform(d)
		if j.trace != nil {
			j.trace.platformRoute()
		}
		return taken, stepNextHop, reason
	}
	c := j.snapshot.choose(j.nic, d.destination, d.protocol)
	if j.trace != nil {
		j.trace.routeChosen(j.snapshot, j.nic, d, &c)
	}
	if c.none() {
		return way{}, stepRoute, model.ReasonNoRoute
	}
	taken, reason := j.wayOf(&c, d)
	if reason == model.ReasonEndpointPolicy {
		return taken, stepPolicy, reason
	}
	if j.trace != nil && reason == model.ReasonNone {
		j.trace.wayFound(&taken)
	}
	return taken, stepNextHop, reason
}

// translateOut is what step 8 asks of a translated way besides, and the translation itself, which knows what cannot be
// translated. It comes before the size is judged, so that what is untranslatable is called so whatever its size.
func (j *judge) translateOut(taken *way, ip packet.IPv4, d *datagram) ([]byte, model.Reason) {
	if d.source != j.nic.ipv4 {
		return nil, model.ReasonForwardedToService
	}
	return translate.To6(j.out, ip, j.nic.fabricAddress, taken.address())
}

// fits is step 9: the MTU that the VM's packets must keep on that way, and whether this one does.
func (j *judge) fits(taken *way, ip packet.IPv4) (mtu int, fits bool) {
	length := len(ip) + packet.IPv6Len
	mtu = j.snapshot.fabricMTU - packet.IPv6Len
	if taken.translated {
		length = len(ip) - len(ip.Options()) + packet.IPv6Len - packet.IPv4Len
		mtu = j.snapshot.fabricMTU - (packet.IPv6Len - packet.IPv4Len)
		if ip.Fragmented() {
			length += packet.FragmentLen
		}
	}
	if j.trace != nil {
		j.trace.size(length, j.snapshot.fabricMTU)
	}
	return mtu, length <= j.snapshot.fabricMTU
}

// noteSent is step 10. It is false where an open TCP connection would change its way (SE-3, OUT-1).
func (j *judge) noteSent(d *datagram, taken *way) bool {
	key := d.outgoingKey(j.nic.number)
	direct := taken.function == model.FunctionInternetEgress
	if j.trace != nil {
		have, ok := j.host.flows.find(key, j.now)
		return !ok || d.protocol != model.ProtocolTCP || !have.changes(taken.via, direct)
	}
	return j.host.flows.send(key, j.now, passage{taken.via, j.nic.natGateway, direct}, d.flags) != flowPathChanged
}
