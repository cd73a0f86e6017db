/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Where fabric and Internet meet: docs/packet.md, "The edge". */
#pragma once

#include "flow.h"
#include "fabric.h"

/* The mark tells the kernel's NAT from which address a platform address's packet shall leave: an IPv4 address as it stands
 * in a packet, MARK_REGIONAL for the platform address itself, 0 for default outbound access. */
enum { MARK_REGIONAL = 1 };

/* Rewrites one address of the IPv4 packet at p, and of the packet that an ICMP error quotes, with all checksums.
 * is_source tells which: the quoted packet ran the other way. */
static __noinline long rewrite(struct __sk_buff *skb, const struct packet *p, __be32 to, __u32 is_source)
{
	if (!p)
		return -1;
	__u32 field = p->l3 + (is_source ? offsetof(struct ipv4, source) : offsetof(struct ipv4, destination));
	__be32 from = is_source ? p->source : p->destination;

	if (!p->later && (p->protocol == PROTOCOL_TCP || (p->protocol == PROTOCOL_UDP && p->checksum != 0))) {
		__u64 flags = BPF_F_PSEUDO_HDR | 4 | (p->protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0);

		if (bpf_l4_csum_replace(skb, p->l4 + (p->protocol == PROTOCOL_TCP ? 16 : 6), from, to, flags))
			return -1;
	}
	/* The quoted header's checksum changes by as much as the address, the other way, so the ICMP message's, which covers
	 * both, stays as it is. */
	if (p->error && p->l4_length >= ICMP_LEN + IPV4_LEN) {
		__u32 quoted = p->l4 + ICMP_LEN;
		__u32 other = quoted + (is_source ? offsetof(struct ipv4, destination) : offsetof(struct ipv4, source));
		__be32 inner;
		__u8 version;

		if (bpf_skb_load_bytes(skb, other, &inner, 4) || bpf_skb_load_bytes(skb, quoted, &version, 1))
			return -1;
		if (version >> 4 == 4 && inner == from &&
		    (bpf_l3_csum_replace(skb, quoted + offsetof(struct ipv4, checksum), from, to, 4) ||
		     bpf_skb_store_bytes(skb, other, &to, 4, 0)))
			return -1;
	}
	if (bpf_l3_csum_replace(skb, p->l3 + offsetof(struct ipv4, checksum), from, to, 4))
		return -1;
	return bpf_skb_store_bytes(skb, field, &to, 4, 0);
}

/* Takes what the edge must know of layer 4, however little of it there is. */
INLINE void peek_l4(struct __sk_buff *skb, struct packet *p)
{
	p->error = 0;
	if (p->later)
		return;
	if (p->protocol == PROTOCOL_UDP && p->l4_length >= 8) {
		bpf_skb_load_bytes(skb, p->l4 + 6, &p->checksum, 2);
	} else if (p->protocol == PROTOCOL_ICMP && p->l4_length >= ICMP_LEN) {
		__u8 type = 0;

		bpf_skb_load_bytes(skb, p->l4, &type, 1);
		p->error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	}
	if ((p->protocol == PROTOCOL_TCP && p->l4_length < 20) || (p->protocol == PROTOCOL_UDP && p->l4_length < 8))
		p->later = 1; /* no checksum to keep right */
}

INLINE bool is_private(__be32 address)
{
	__u32 a = bpf_ntohl(address);

	return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191 || a >> 24 == 127 || a >> 24 == 0 ||
	       a >> 16 == 0xa9fe || a >> 29 == 7;
}

INLINE bool is_egress(__u8 function)
{
	return function == FUNCTION_INTERNET_EGRESS || function == FUNCTION_REGIONAL_EGRESS || function == FUNCTION_NAT_EGRESS;
}

INLINE int leave_fabric(struct __sk_buff *skb, const struct node *node)
{
	struct packet p = {.l3 = ETH_LEN + IPV6_LEN};
	struct ipv6 header;
	struct egress_key key;
	struct egress *egress;
	enum reason reason;
	__be32 to;
	__u32 payload, mark;
	__u16 type;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->len < ETH_LEN + IPV6_LEN ||
	    bpf_skb_load_bytes(skb, ETH_LEN, &header, sizeof(header)) || bpf_ntohl(header.version_class_flow) >> 28 != 6 ||
	    !own_locator(node, &header.destination) ||
	    !is_egress(header.destination.function))
		return TC_ACT_UNSPEC;
	payload = bpf_ntohs(header.payload);
	if (header.next != PROTOCOL_IPV4 || payload > skb->len - ETH_LEN - IPV6_LEN || parse_ipv4(skb, &p, payload))
		return drop(0, REASON_MALFORMED);
	key.subnet = bpf_ntohl(header.source.identity);
	key.ipv4 = header.source.ipv4;
	egress = bpf_map_lookup_elem(&egresses, &key);
	if (!egress)
		return drop(0, REASON_NO_SUCH_NIC);
	if (p.source != header.source.ipv4)
		return drop(0, REASON_SOURCE_ADDRESS);
	to = egress->platform;
	mark = 0;
	reason = REASON_INTERNET;
	if (header.destination.function == FUNCTION_REGIONAL_EGRESS) {
		mark = MARK_REGIONAL;
		reason = REASON_REGIONAL_EGRESS;
	} else if (egress->public && (header.destination.function == FUNCTION_INTERNET_EGRESS || !egress->nat)) {
		to = egress->public;
	} else if (egress->nat) {
		mark = egress->nat;
		reason = REASON_NAT_GATEWAY;
	} else if (!egress->outbound) {
		return drop(0, REASON_NO_OUTBOUND);
	}
	peek_l4(skb, &p);
	if (rewrite(skb, &p, to, true) || decapsulate(skb))
		return drop(0, REASON_MALFORMED);
	if (skb->len > ETH_LEN + p.total && bpf_skb_change_tail(skb, ETH_LEN + p.total, 0))
		return drop(0, REASON_MALFORMED);
	type = bpf_htons(ETH_P_IP);
	if (bpf_skb_store_bytes(skb, offsetof(struct ethernet, type), &type, 2, 0))
		return drop(0, REASON_MALFORMED);
	skb->mark = mark;
	count(0, reason);
	return TC_ACT_OK;
}

/* What the kernel routed to a NIC's public or platform address, at the egress of shadow0. */
INLINE int enter_fabric(struct __sk_buff *skb, const struct node *node)
{
	struct packet p = {.l3 = ETH_LEN};
	struct address source, destination;
	struct ingress *ingress;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->len < ETH_LEN || parse_ipv4(skb, &p, skb->len - ETH_LEN))
		return drop(0, REASON_MALFORMED);
	if (skb->len > ETH_LEN + p.total && bpf_skb_change_tail(skb, ETH_LEN + p.total, 0))
		return drop(0, REASON_MALFORMED);
	if (is_private(p.source))
		return drop(0, REASON_MARTIAN);
	ingress = bpf_map_lookup_elem(&ingresses, &p.destination);
	if (!ingress)
		return drop(0, REASON_NO_SUCH_NIC);
	if (skb->gso_size) {
		__u8 header = 0;

		if (p.protocol == PROTOCOL_TCP)
			bpf_skb_load_bytes(skb, p.l4 + 12, &header, 1);
		p.tcp_header = (header >> 4) * 4;
	}
	if (segment_length(skb, &p) + IPV6_LEN > node->mtu)
		return drop(0, REASON_TOO_BIG);
	peek_l4(skb, &p);
	set_address(&source, &node->locator, FUNCTION_INTERNET_EGRESS, IDENTITY_NONE, p.source);
	set_address(&destination, &ingress->locator, FUNCTION_NIC, ingress->subnet, ingress->ipv4);
	if (rewrite(skb, &p, ingress->ipv4, false) || encapsulate(skb, p.tos, p.total, &source, &destination))
		return drop(0, REASON_MALFORMED);
	count(0, REASON_INTERNET);
	return bpf_redirect_neigh(node->fabric_ifindex, NULL, 0, 0);
}
