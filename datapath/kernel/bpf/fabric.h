/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Onto the fabric and off it. */
#pragma once

#include <linux/errno.h>

#include "count.h"
#include "translate.h"

#ifndef BPF_F_ADJ_ROOM_DECAP_L3_IPV4
/* newer than Debian 12's headers, older than our least kernel */
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)
#endif

INLINE void set_address(struct address *out, const struct locator *locator, __u8 function, __u32 identity, __be32 ipv4)
{
	__builtin_memcpy(out, locator, 8); /* the eighth byte is the function's */
	out->function = function;
	out->identity = bpf_htonl(identity);
	out->ipv4 = ipv4;
}

INLINE bool own_locator(const struct node *node, const struct address *address)
{
	return same(node->locator.bytes, address->locator, 7);
}

INLINE bool is_zero(const struct locator *locator)
{
	return *(const __u64 *)locator->bytes == 0;
}

/* An IPv6 packet leaves: to the next hop of the fabric, or back in when the node itself owns the locator. */
INLINE int send(struct __sk_buff *skb, const struct node *node, const struct address *destination)
{
	if (own_locator(node, destination))
		return bpf_redirect(node->fabric_ifindex, BPF_F_INGRESS);
	return bpf_redirect_neigh(node->fabric_ifindex, NULL, 0, 0);
}

/* Room for an IPv6 header before an IPv4 packet. A packet that a VM forwards, or that comes out of a tunnel of the VM's
 * own, carries the kernel's mark of an earlier capsule, and the kernel marks a packet once: it answers EALREADY. Then the
 * mark stands as it is, and only room and protocol are made; a decapsulation names the protocol without a mark, so there is
 * one of 20 bytes too many. */
INLINE long make_room(struct __sk_buff *skb)
{
	const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
	long failed = bpf_skb_adjust_room(skb, IPV6_LEN, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);

	if (failed != -EALREADY)
		return failed;
	if (bpf_skb_adjust_room(skb, IPV6_LEN + IPV4_LEN, BPF_ADJ_ROOM_MAC, flags))
		return -1;
	return bpf_skb_adjust_room(skb, -IPV4_LEN, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_DECAP_L3_IPV6);
}

/* An IPv6 header before the IPv4 packet of length bytes. */
INLINE long encapsulate(struct __sk_buff *skb, __u8 tos, __u16 length, const struct address *source,
			const struct address *destination)
{
	struct {
		__u16 align;
		struct ethernet ethernet;
		struct ipv6 ip;
	} out = {};

	if (make_room(skb))
		return -1;
	out.ethernet.type = bpf_htons(ETH_P_IPV6);
	set_ipv6(&out.ip, tos, length, PROTOCOL_IPV4, 64, source, destination);
	return bpf_skb_store_bytes(skb, 0, &out.ethernet, ETH_LEN + IPV6_LEN, 0);
}

/* Off with the IPv6 header; what is left stands behind an Ethernet header for nic. */
INLINE long decapsulate(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -IPV6_LEN, BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET);
}

/* Bytes of the IP packet, or of the largest segment that a GSO packet becomes. */
INLINE __u32 segment_length(struct __sk_buff *skb, const struct packet *p)
{
	if (!skb->gso_size)
		return p->total;
	return p->header_length + (p->protocol == PROTOCOL_TCP ? p->tcp_header : 8) + skb->gso_size;
}
