/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Taking a packet apart: docs/packet.md, steps 3 to 5. Offsets count from the Ethernet header. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "plan.h"
#include "reason.h"

#define INLINE static __always_inline

enum { ETH_LEN = 14, IPV4_LEN = 20, IPV6_LEN = 40, FRAGMENT_LEN = 8, ICMP_LEN = 8, QUOTE_LEN = 28 };
enum { PROTOCOL_ICMP = 1, PROTOCOL_IPV4 = 4, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_FRAGMENT = 44, PROTOCOL_ICMPV6 = 58 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

#define SECOND 1000000000ULL

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} __attribute__((packed));

struct ipv4 {
	__u8 version_length;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6 {
	__be32 version_class_flow;
	__be16 payload;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
};

struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset_more;
	__be32 id;
};

struct tcp {
	__be16 source, destination;
	__be32 sequence, acknowledgement;
	__u8 data_offset, flags;
	__be16 window, checksum, urgent;
};

struct icmp {
	__u8 type, code;
	__be16 checksum;
	__be32 rest; /* identifier and sequence, or MTU, or pointer */
};

_Static_assert(sizeof(struct ipv4) == IPV4_LEN, "IPv4 header");
_Static_assert(sizeof(struct ipv6) == IPV6_LEN, "IPv6 header");
_Static_assert(sizeof(struct fragment_header) == FRAGMENT_LEN, "Fragment header");
_Static_assert(sizeof(struct tcp) == 20, "TCP header");
_Static_assert(sizeof(struct icmp) == ICMP_LEN, "ICMP header");

/* What judging needs of a packet, whichever way it goes. Ports are the wire's order. */
struct packet {
	__be32 source, destination; /* IPv4 */
	__u32 l3;		    /* offset of the IPv4 header, or of the IPv6 header that will become one */
	__u32 l4;		    /* offset of the layer-4 header */
	__u32 l4_length;	    /* its bytes, payload included, in this fragment */
	__u32 sequence, acknowledgement; /* TCP, host order */
	__be16 source_port, destination_port;
	__be16 id;
	__u16 total;	     /* of an IPv4 header, host order */
	__u16 header_length; /* of the IPv4 header, 20 to 60 */
	__u16 offset;	     /* of a fragment, bytes */
	__be16 fragment;     /* flags and offset as an IPv4 header has them */
	__u8 protocol;	     /* IPv4's number: ICMP for ICMPv6 too */
	__u8 tos, ttl;
	__u8 first, later; /* fragment */
	__u8 tcp_flags, tcp_header;
	__u8 icmp_type, icmp_code;
	__u8 error; /* an ICMP error */
	__be16 checksum; /* UDP's */
};

INLINE bool same(const void *one, const void *other, __u32 length)
{
	const __u8 *a = one, *b = other;
	__u8 difference = 0;

#pragma unroll
	for (__u32 i = 0; i < length; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* bpf_skb_load_bytes without the call where the bytes stand in the skb's linear part, as headers do. length is a constant. */
INLINE long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (offset < 256) {
		void *from = data + offset;

		if (from + length <= end) {
			__builtin_memcpy(to, __builtin_assume_aligned(from, 2), length);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, offset, to, length);
}

INLINE bool unusable(__be32 address) /* 0/8, 127/8, 224/4, 240/4 */
{
	__u8 first = bpf_ntohl(address) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* The IPv4 header at p->l3, with available bytes from there on. */
INLINE enum reason parse_ipv4(struct __sk_buff *skb, struct packet *p, __u32 available)
{
	struct ipv4 header;

	if (available < IPV4_LEN || load(skb, p->l3, &header, sizeof(header)))
		return REASON_MALFORMED;
	p->header_length = (header.version_length & 15) * 4;
	p->total = bpf_ntohs(header.total);
	if (header.version_length >> 4 != 4 || p->header_length < IPV4_LEN || p->total < p->header_length || p->total > available)
		return REASON_MALFORMED;
	p->source = header.source;
	p->destination = header.destination;
	p->protocol = header.protocol;
	p->tos = header.tos;
	p->ttl = header.ttl;
	p->id = header.id;
	p->fragment = header.fragment;
	__u16 fragment = bpf_ntohs(header.fragment);
	p->offset = (fragment & 0x1fff) * 8;
	p->later = p->offset > 0;
	p->first = !p->later && fragment & 0x2000;
	p->l4 = p->l3 + p->header_length;
	p->l4_length = p->total - p->header_length;
	return REASON_NONE;
}

/* Ports and flags of a packet that is no later fragment. */
INLINE enum reason parse_l4(struct __sk_buff *skb, struct packet *p, bool ipv6)
{
	__u32 need = p->protocol == PROTOCOL_TCP ? 20 : 8;

	p->source_port = p->destination_port = 0;
	p->tcp_flags = p->error = 0;
	if (p->first && p->l4_length < need)
		return REASON_FRAGMENT_TINY;
	if (p->protocol == PROTOCOL_TCP) {
		struct tcp tcp;

		if (p->l4_length < need || load(skb, p->l4, &tcp, sizeof(tcp)))
			return REASON_MALFORMED;
		p->tcp_header = (tcp.data_offset >> 4) * 4;
		if (p->tcp_header < 20 || p->tcp_header > p->l4_length)
			return REASON_MALFORMED;
		p->source_port = tcp.source;
		p->destination_port = tcp.destination;
		p->tcp_flags = tcp.flags;
		p->sequence = bpf_ntohl(tcp.sequence);
		p->acknowledgement = bpf_ntohl(tcp.acknowledgement);
	} else if (p->protocol == PROTOCOL_UDP) {
		__be16 words[4];

		if (p->l4_length < need || bpf_skb_load_bytes(skb, p->l4, words, sizeof(words)))
			return REASON_MALFORMED;
		p->source_port = words[0];
		p->destination_port = words[1];
		p->checksum = words[3];
	} else if (p->protocol == PROTOCOL_ICMP) {
		struct icmp icmp;

		if (p->l4_length < need || bpf_skb_load_bytes(skb, p->l4, &icmp, sizeof(icmp)))
			return REASON_MALFORMED;
		p->icmp_type = icmp.type;
		p->icmp_code = icmp.code;
		if (ipv6) {
			p->error = icmp.type >= 1 && icmp.type <= 4;
			if (icmp.type == 128 || icmp.type == 129)
				p->source_port = p->destination_port = *(__be16 *)&icmp.rest;
		} else {
			p->error = icmp.type == 3 || icmp.type == 4 || icmp.type == 5 || icmp.type == 11 || icmp.type == 12;
			if (icmp.type == 0 || icmp.type == 8)
				p->source_port = p->destination_port = *(__be16 *)&icmp.rest;
		}
	}
	return REASON_NONE;
}

/* Encapsulated and translated packets never share fragments (SE-13). */
enum way_of_fragment { WAY_OUT, WAY_IN, WAY_TRANSLATED };

INLINE void set_fragment_key(struct fragment_key *key, const struct packet *p, __u32 nic, enum way_of_fragment way)
{
	key->nic = nic;
	key->source = p->source;
	key->destination = p->destination;
	key->id = p->id;
	key->protocol = p->protocol;
	key->way = way;
}

/* A later fragment takes its ports from what its first one left. */
INLINE enum reason find_fragment(struct packet *p, __u32 nic, enum way_of_fragment way, __u64 now)
{
	struct fragment_key key;
	struct fragment *seen;

	set_fragment_key(&key, p, nic, way);
	seen = bpf_map_lookup_elem(&fragments, &key);
	if (!seen || now - seen->seen > 30 * SECOND)
		return REASON_FRAGMENT_FIRST_MISSING;
	if (p->offset < seen->length)
		return REASON_FRAGMENT_OVERLAP;
	p->source_port = way ? seen->remote_port : seen->local_port;
	p->destination_port = way ? seen->local_port : seen->remote_port;
	p->tcp_flags = p->error = 0;
	return REASON_NONE;
}

INLINE void remember_fragment(const struct packet *p, __u32 nic, enum way_of_fragment way, __u64 now)
{
	struct fragment_key key;
	struct fragment seen = {
		.seen = now,
		.local_port = way ? p->destination_port : p->source_port,
		.remote_port = way ? p->source_port : p->destination_port,
		.length = p->l4_length,
	};

	set_fragment_key(&key, p, nic, way);
	bpf_map_update_elem(&fragments, &key, &seen, BPF_ANY);
}
