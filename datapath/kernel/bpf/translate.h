/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* 4 to 6 and 6 to 4 (RFC 7915), the twin of postern/translate: the same bytes come out. */
#pragma once

#include "icmp.h"

/* ---- options, checksums ---- */

/* An unexpired source route, or options that cannot be walked. length is a multiple of 4, 4 to 40. */
struct option_walk {
	__u8 bytes[64];
	__u32 length, at;
	__u8 bad;
};

static long walk_option(__u64 index, struct option_walk *walk)
{
	__u32 at = walk->at;

	if (at >= walk->length || at >= 40)
		return 1;
	__u8 kind = walk->bytes[at & 63];

	if (kind == 0)
		return 1;
	if (kind == 1) {
		walk->at = at + 1;
		return 0;
	}
	__u8 size = walk->bytes[(at + 1) & 63];

	if (at + 1 >= walk->length || size < 2 || at + size > walk->length) {
		walk->bad = 1;
		return 1;
	}
	if (kind == 131 || kind == 137) {
		if (size < 3 || walk->bytes[(at + 2) & 63] <= size) {
			walk->bad = 1;
			return 1;
		}
	}
	walk->at = at + size;
	return 0;
}

static __noinline long source_route(struct __sk_buff *skb, const struct packet *p)
{
	struct option_walk walk = {};

	if (!p)
		return true;
	walk.length = p->header_length - IPV4_LEN;
	if (walk.length == 0)
		return false;
	if (walk.length > 40 || bpf_skb_load_bytes(skb, p->l3 + IPV4_LEN, walk.bytes, walk.length))
		return true;
	bpf_loop(40, walk_option, &walk, 0);
	return walk.bad;
}

struct payload_sum {
	struct __sk_buff *skb;
	__u32 at, left;
	__s64 sum;
};

static long sum_chunk(__u64 index, struct payload_sum *state)
{
	__u8 chunk[64] = {};
	__u32 length = state->left;

	if (length == 0)
		return 1;
	if (length > sizeof(chunk))
		length = sizeof(chunk);
	if (bpf_skb_load_bytes(state->skb, state->at, chunk, length)) {
		state->sum = -1;
		return 1;
	}
	state->sum = sum(chunk, sizeof(chunk), state->sum);
	state->at += length;
	state->left -= length;
	return 0;
}

/* The checksum of a UDP packet that came without one (RFC 7915, section 4.5). */
INLINE bool full_udp_sum(struct __sk_buff *skb, const struct packet *p, const struct address *source,
			 const struct address *destination, __be16 *checksum)
{
	struct payload_sum state = {.skb = skb, .at = p->l4, .left = p->l4_length};

	state.sum = pseudo_header(source, destination, p->l4_length, PROTOCOL_UDP, 0);
	bpf_loop(1024, sum_chunk, &state, 0);
	if (state.sum < 0 || state.left)
		return false;
	*checksum = fold(state.sum);
	if (*checksum == 0)
		*checksum = 0xffff;
	return true;
}

/* ---- whole packets ---- */

/* What an error takes is too large for the stack of a third call. A program is never interrupted by itself on a CPU. */
struct error_to_6_scratch {
	struct {
		struct icmp icmp;
		struct ipv4 ip;
		union quoted quoted;
	} four;
	struct {
		struct ipv6 ip;
		struct icmp icmp;
		struct ipv6 quoted_ip;
		union quoted quoted;
	} six;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct error_to_6_scratch);
} scratches_to_6 SEC(".maps");

/* Why an ICMP error of the VM's cannot be translated. It loads what error_to_6 works on. */
static __noinline long refuse_error(struct __sk_buff *skb, const struct packet *p)
{
	struct error_to_6_scratch *scratch;
	struct icmp_meaning meaning;
	__u32 zero = 0;

	if (!p)
		return REASON_MALFORMED;
	scratch = bpf_map_lookup_elem(&scratches_to_6, &zero);
	if (!scratch || bpf_skb_load_bytes(skb, p->l4, &scratch->four, sizeof(scratch->four)))
		return REASON_MALFORMED;
	if (!icmp_error_to_6(p->icmp_type, p->icmp_code, scratch->four.icmp.rest, &meaning))
		return REASON_UNSUPPORTED_PROTOCOL;
	if (scratch->four.ip.fragment & bpf_htons(0x3fff) || bpf_ntohs(scratch->four.ip.total) < QUOTE_LEN)
		return REASON_UNRELATED_ERROR;
	if (scratch->four.ip.protocol == PROTOCOL_TCP || scratch->four.ip.protocol == PROTOCOL_UDP)
		return REASON_NONE;
	if (scratch->four.ip.protocol == PROTOCOL_ICMP && (scratch->four.quoted.bytes[0] == 0 || scratch->four.quoted.bytes[0] == 8))
		return REASON_NONE;
	return REASON_UNRELATED_ERROR;
}

/* An ICMP error of the VM's that refuse_error has passed, with what it quotes, becomes a packet of 110 bytes. */
static __noinline long error_to_6(struct __sk_buff *skb, const struct packet *p, const struct address *source,
				  const struct address *destination)
{
	struct error_to_6_scratch *scratch;
	__u32 zero = 0;
	struct address quoted_source, quoted_destination;
	struct icmp_meaning meaning;
	__s64 difference;

	if (!p || !source || !destination)
		return REASON_MALFORMED;
	scratch = bpf_map_lookup_elem(&scratches_to_6, &zero);
	if (!scratch || !icmp_error_to_6(p->icmp_type, p->icmp_code, scratch->four.icmp.rest, &meaning))
		return REASON_MALFORMED;
	/* The quoted packet ran the other way. */
	quoted_source = *destination;
	quoted_source.ipv4 = scratch->four.ip.source;
	quoted_destination = *source;
	quoted_destination.ipv4 = scratch->four.ip.destination;
	__u16 payload = bpf_ntohs(scratch->four.ip.total) - IPV4_LEN;
	__be32 old_addresses[2] = {scratch->four.ip.source, scratch->four.ip.destination};
	struct address new_addresses[2] = {quoted_source, quoted_destination};
	__u8 next = scratch->four.ip.protocol;

	scratch->six.quoted = scratch->four.quoted;
	scratch->six.icmp.checksum = 0;
	if (scratch->four.ip.protocol == PROTOCOL_UDP) {
		difference = bpf_csum_diff(old_addresses, 8, (__be32 *)new_addresses, 32, 0);
		fix_quoted_sum(&scratch->six.quoted.words[3], difference, true);
	} else if (scratch->four.ip.protocol == PROTOCOL_ICMP) {
		__be32 old_type = scratch->six.quoted.longs[0], new_type;

		scratch->six.quoted.bytes[0] = scratch->six.quoted.bytes[0] == 8 ? 128 : 129;
		new_type = scratch->six.quoted.longs[0];
		next = PROTOCOL_ICMPV6;
		difference = bpf_csum_diff(&old_type, 4, &new_type, 4, 0);
		difference = pseudo_header(&quoted_source, &quoted_destination, payload, PROTOCOL_ICMPV6, difference);
		fix_quoted_sum(&scratch->six.quoted.words[1], difference, false);
	}
	set_ipv6(&scratch->six.quoted_ip, scratch->four.ip.tos, payload, next, scratch->four.ip.ttl, &quoted_source, &quoted_destination);
	scratch->six.icmp.type = meaning.type;
	scratch->six.icmp.code = meaning.code;
	scratch->six.icmp.rest = meaning.rest;
	__u32 length = ICMP_LEN + IPV6_LEN + 8;
	scratch->six.icmp.checksum = fold(pseudo_header(source, destination, length, PROTOCOL_ICMPV6, sum(&scratch->six.icmp, length, 0)));
	set_ipv6(&scratch->six.ip, p->tos, length, PROTOCOL_ICMPV6, p->ttl, source, destination);

	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0) || bpf_skb_change_tail(skb, ETH_LEN + sizeof(scratch->six), 0))
		return REASON_MALFORMED;
	return bpf_skb_store_bytes(skb, ETH_LEN, &scratch->six, sizeof(scratch->six), 0) ? REASON_MALFORMED : REASON_NONE;
}

/* The packet at p becomes IPv6. Everything that can be refused was asked before. */
static __noinline long translate_to_6(struct __sk_buff *skb, const struct packet *p, const struct address *source,
				      const struct address *destination)
{
	struct ipv6 header;
	bool fragment, icmp;
	__be32 old_addresses[2];
	struct address new_addresses[2];
	__be16 checksum = 0;
	__s64 difference;
	__u32 l4;

	if (!p || !source || !destination)
		return REASON_MALFORMED;
	fragment = p->first || p->later;
	icmp = p->protocol == PROTOCOL_ICMP;
	if (p->protocol == PROTOCOL_UDP && !p->later && p->checksum == 0 &&
	    !full_udp_sum(skb, p, source, destination, &checksum))
		return REASON_MALFORMED;
	if (p->header_length > IPV4_LEN &&
	    bpf_skb_adjust_room(skb, IPV4_LEN - (__s32)p->header_length, BPF_ADJ_ROOM_NET, 0))
		return REASON_MALFORMED;
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0))
		return REASON_MALFORMED;
	if (fragment && bpf_skb_adjust_room(skb, FRAGMENT_LEN, BPF_ADJ_ROOM_NET, 0))
		return REASON_MALFORMED;
	l4 = ETH_LEN + IPV6_LEN + (fragment ? FRAGMENT_LEN : 0);
	set_ipv6(&header, p->tos, p->l4_length + (fragment ? FRAGMENT_LEN : 0),
		 fragment ? PROTOCOL_FRAGMENT : icmp ? PROTOCOL_ICMPV6 : p->protocol, p->ttl, source, destination);
	if (bpf_skb_store_bytes(skb, ETH_LEN, &header, sizeof(header), 0))
		return REASON_MALFORMED;
	if (fragment) {
		struct fragment_header extension = {
			.next = p->protocol,
			.offset_more = bpf_htons(p->offset | (bpf_ntohs(p->fragment) & 0x2000 ? 1 : 0)),
			.id = bpf_htonl(bpf_ntohs(p->id)),
		};

		if (bpf_skb_store_bytes(skb, ETH_LEN + IPV6_LEN, &extension, sizeof(extension), 0))
			return REASON_MALFORMED;
	}
	if (p->later)
		return REASON_NONE;
	if (icmp) {
		__u8 type = p->icmp_type == 8 ? 128 : 129;
		__be32 old_type = bpf_htonl((__u32)p->icmp_type << 24 | (__u32)p->icmp_code << 16);
		__be32 new_type = bpf_htonl((__u32)type << 24 | (__u32)p->icmp_code << 16);

		difference = bpf_csum_diff(&old_type, 4, &new_type, 4, 0);
		difference = pseudo_header(source, destination, p->l4_length, PROTOCOL_ICMPV6, difference);
		if (bpf_skb_store_bytes(skb, l4, &type, 1, 0) ||
		    bpf_l4_csum_replace(skb, l4 + offsetof(struct icmp, checksum), 0, difference, 0))
			return REASON_MALFORMED;
		return REASON_NONE;
	}
	if (p->protocol == PROTOCOL_UDP && p->checksum == 0)
		return bpf_skb_store_bytes(skb, l4 + 6, &checksum, 2, 0) ? REASON_MALFORMED : REASON_NONE;
	old_addresses[0] = p->source;
	old_addresses[1] = p->destination;
	new_addresses[0] = *source;
	new_addresses[1] = *destination;
	difference = bpf_csum_diff(old_addresses, 8, (__be32 *)new_addresses, 32, 0);
	if (bpf_l4_csum_replace(skb, l4 + (p->protocol == PROTOCOL_TCP ? 16 : 6), 0, difference,
				BPF_F_PSEUDO_HDR | ipv6_checksum_flag | (p->protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return REASON_MALFORMED;
	return REASON_NONE;
}

/* The IPv6 packet at p->l3, with its addresses six[2], becomes IPv4 behind an Ethernet header for nic. */
static __noinline long translate_to_4(struct __sk_buff *skb, const struct packet *p, const struct address *six, const struct nic *nic)
{
	struct {
		struct ethernet ethernet;
		struct ipv4 ip;
	} __attribute__((packed)) out;
	struct ipv4 ip;
	bool fragment, icmp;
	__be32 addresses[2];
	__s64 difference;
	__u32 l4 = ETH_LEN + IPV4_LEN;

	if (!p || !six || !nic)
		return REASON_MALFORMED;
	fragment = p->first || p->later;
	icmp = p->protocol == PROTOCOL_ICMP;
	/* An atomic fragment (offset 0, nothing more) has the extension header too. */
	if (p->l4 != p->l3 + IPV6_LEN && bpf_skb_adjust_room(skb, -FRAGMENT_LEN, BPF_ADJ_ROOM_NET, 0))
		return REASON_MALFORMED;
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0))
		return REASON_MALFORMED;
	__u32 total = IPV4_LEN + p->l4_length;
	__u16 bits = fragment ? bpf_ntohs(p->fragment) : total > 1260 ? 0x4000 : 0;

	set_ipv4(&ip, p->tos, total, fragment ? p->id : 0, bits, p->ttl, p->protocol, p->source, p->destination);
	set_ethernet(&out.ethernet, nic, ETH_P_IP);
	out.ip = ip;
	if (bpf_skb_store_bytes(skb, 0, &out, sizeof(out), 0))
		return REASON_MALFORMED;
	if (p->later)
		return REASON_NONE;
	if (icmp) {
		__u8 type = p->icmp_type == 128 ? 8 : 0;
		struct {
			struct address addresses[2];
			__be32 length, next, type;
		} old = {{six[0], six[1]}, bpf_htonl(p->l4_length), bpf_htonl(PROTOCOL_ICMPV6),
			 bpf_htonl((__u32)p->icmp_type << 24 | (__u32)p->icmp_code << 16)};
		__be32 new_type = bpf_htonl((__u32)type << 24 | (__u32)p->icmp_code << 16);

		difference = bpf_csum_diff((__be32 *)&old, sizeof(old), &new_type, 4, 0);
		if (bpf_skb_store_bytes(skb, l4, &type, 1, 0) ||
		    bpf_l4_csum_replace(skb, l4 + offsetof(struct icmp, checksum), 0, difference, 0))
			return REASON_MALFORMED;
		return REASON_NONE;
	}
	addresses[0] = p->source;
	addresses[1] = p->destination;
	difference = bpf_csum_diff((__be32 *)six, 32, addresses, 8, 0);
	if (bpf_l4_csum_replace(skb, l4 + (p->protocol == PROTOCOL_TCP ? 16 : 6), 0, difference,
				BPF_F_PSEUDO_HDR | (p->protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return REASON_MALFORMED;
	return REASON_NONE;
}
