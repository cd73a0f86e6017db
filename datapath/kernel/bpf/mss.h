/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* A SYN's MSS must leave room for what the fabric adds: docs/packet.md, step 11. */
#pragma once

#include "packet.h"

struct mss_walk {
	__u8 bytes[64];
	__u32 length, at, found; /* found: offset of the MSS value in the options */
};

static long walk_mss(__u64 index, struct mss_walk *walk)
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

	if (at + 1 >= walk->length || size < 2 || at + size > walk->length)
		return 1;
	if (kind == 2 && size == 4) {
		walk->found = at + 2;
		return 1;
	}
	walk->at = at + size;
	return 0;
}

static __noinline long clamp_mss(struct __sk_buff *skb, const struct packet *p, __u32 most)
{
	struct mss_walk walk = {};
	__u32 offset;
	__be16 old, new;

	if (!p)
		return -1;
	walk.length = p->tcp_header - 20;
	if (walk.length == 0 || walk.length > 40)
		return 0;
	if (bpf_skb_load_bytes(skb, p->l4 + 20, walk.bytes, walk.length))
		return 0;
	bpf_loop(40, walk_mss, &walk, 0);
	offset = walk.found;
	if (offset < 2 || offset > 38)
		return 0;
	old = bpf_htons(walk.bytes[offset & 63] << 8 | walk.bytes[(offset + 1) & 63]);
	new = bpf_htons(most);
	if (bpf_ntohs(old) <= most)
		return 0;
	/* An MSS at an odd offset counts bytes the other way round in the sum. */
	if (offset & 1)
		bpf_l4_csum_replace(skb, p->l4 + 16, __builtin_bswap16(old), __builtin_bswap16(new), 2);
	else
		bpf_l4_csum_replace(skb, p->l4 + 16, old, new, 2);
	return bpf_skb_store_bytes(skb, p->l4 + 20 + offset, &new, 2, 0);
}
