/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Answers toward a VM that take the place of the packet they answer: docs/packet.md, "ARP", "A reset", "ICMP
 * fragmentation needed", and ICMP errors from the fabric. */
#pragma once

#include "translate.h"

struct arp {
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} __attribute__((packed));

struct arp_frame {
	struct ethernet ethernet;
	struct arp arp;
} __attribute__((packed));

static __noinline long answer_arp(struct __sk_buff *skb, const struct nic *nic)
{
	struct arp_frame frame;
	struct arp *arp = &frame.arp;
	__u8 target[4];
	__be32 own;

	if (!nic)
		return REASON_ARP_IGNORED;
	own = nic->ipv4;
	if (skb->len < sizeof(frame) || bpf_skb_load_bytes(skb, 0, &frame, sizeof(frame)))
		return REASON_ARP_IGNORED;
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_length != 6 ||
	    arp->protocol_length != 4 || arp->operation != bpf_htons(1) ||
	    !same(arp->sender_mac, nic->mac, 6) || !same(arp->sender, &own, 4) ||
	    same(arp->target, &own, 4))
		return REASON_ARP_IGNORED;
	set_ethernet(&frame.ethernet, nic, ETH_P_ARP);
	arp->operation = bpf_htons(2);
	__builtin_memcpy(target, arp->target, 4);
	__builtin_memcpy(arp->target_mac, nic->mac, 6);
	__builtin_memcpy(arp->target, &own, 4);
	__builtin_memcpy(arp->sender_mac, frame.ethernet.source, 6);
	__builtin_memcpy(arp->sender, target, 4);
	if (bpf_skb_change_tail(skb, sizeof(frame), 0) || bpf_skb_store_bytes(skb, 0, &frame, sizeof(frame), 0))
		return REASON_ARP_IGNORED;
	return REASON_NONE;
}

static __noinline long answer_reset(struct __sk_buff *skb, const struct packet *p, const struct nic *nic)
{
	struct {
		__u16 align;
		struct ethernet ethernet;
		struct ipv4 ip;
		struct tcp tcp;
	} out = {};
	struct {
		__be32 source, destination;
		__be32 protocol_length;
	} pseudo;

	if (!p || !nic)
		return -1;
	__u32 length = p->l4_length - p->tcp_header;

	set_ethernet(&out.ethernet, nic, ETH_P_IP);
	set_ipv4(&out.ip, 0, IPV4_LEN + sizeof(struct tcp), 0, 0x4000, 64, PROTOCOL_TCP, p->destination, p->source);
	out.tcp.source = p->destination_port;
	out.tcp.destination = p->source_port;
	out.tcp.data_offset = 5 << 4;
	if (p->tcp_flags & TCP_ACK) {
		out.tcp.flags = TCP_RST;
		out.tcp.sequence = bpf_htonl(p->acknowledgement);
	} else {
		length += (p->tcp_flags & TCP_SYN ? 1 : 0) + (p->tcp_flags & TCP_FIN ? 1 : 0);
		out.tcp.flags = TCP_RST | TCP_ACK;
		out.tcp.acknowledgement = bpf_htonl(p->sequence + length);
	}
	pseudo.source = p->destination;
	pseudo.destination = p->source;
	pseudo.protocol_length = bpf_htonl(PROTOCOL_TCP << 16 | sizeof(struct tcp));
	out.tcp.checksum = fold(sum(&pseudo, sizeof(pseudo), sum(&out.tcp, sizeof(out.tcp), 0)));
	if (bpf_skb_change_tail(skb, ETH_LEN + IPV4_LEN + sizeof(struct tcp), 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &out.ethernet, ETH_LEN + IPV4_LEN + sizeof(struct tcp), 0);
}

/* An ICMP error of 70 bytes for the VM. The skb is IPv4 already, or becomes it first. */
struct error_frame {
	__u16 align;
	struct ethernet ethernet;
	struct ipv4 ip;
	struct icmp icmp;
	struct ipv4 quoted_ip;
	union quoted quoted;
};

INLINE long store_error(struct __sk_buff *skb, struct error_frame *out)
{
	out->icmp.checksum = 0;
	out->icmp.checksum = fold(sum(&out->icmp, ICMP_LEN + QUOTE_LEN, 0));
	if (bpf_skb_change_tail(skb, sizeof(*out) - sizeof(out->align), 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &out->ethernet, sizeof(*out) - sizeof(out->align), 0);
}

/* "Fragmentation needed" about the VM's own packet at p, which stands in the skb. */
static __noinline long answer_too_big(struct __sk_buff *skb, const struct packet *p, const struct nic *nic, __u32 mtu)
{
	struct error_frame out = {};

	if (!p || !nic)
		return -1;
	if (bpf_skb_load_bytes(skb, p->l3, &out.quoted_ip, IPV4_LEN) || bpf_skb_load_bytes(skb, p->l4, &out.quoted, 8))
		return -1;
	out.quoted_ip.version_length = 0x45; /* options are not quoted */
	set_ethernet(&out.ethernet, nic, ETH_P_IP);
	set_ipv4(&out.ip, 0, IPV4_LEN + ICMP_LEN + QUOTE_LEN, 0, 0x4000, 64, PROTOCOL_ICMP, p->destination, p->source);
	out.icmp.type = 3;
	out.icmp.code = 4;
	out.icmp.rest = bpf_htonl(mtu & 0xffff);
	return store_error(skb, &out);
}
