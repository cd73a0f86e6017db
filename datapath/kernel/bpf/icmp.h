/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* ICMP types and codes (RFC 7915, sections 4.2 and 5.2), and what errors quote. */
#pragma once

#include "header.h"

struct icmp_meaning {
	__u8 type, code;
	__be32 rest;
};

INLINE bool icmp_error_to_6(__u8 type, __u8 code, __be32 rest, struct icmp_meaning *out)
{
	__u32 value = bpf_ntohl(rest);

	out->rest = 0;
	out->code = 0;
	if (type == 3) {
		out->type = 1;
		switch (code) {
		case 0: case 1: case 5: case 6: case 7: case 8: case 11: case 12:
			return true;
		case 2:
			out->type = 4;
			out->code = 1;
			out->rest = bpf_htonl(6);
			return true;
		case 3:
			out->code = 4;
			return true;
		case 4: {
			__u32 mtu = (value & 0xffff) + 20;

			out->type = 2;
			out->rest = bpf_htonl(mtu < 1280 ? 1280 : mtu);
			return true;
		}
		case 9: case 10: case 13: case 15:
			out->code = 1;
			return true;
		}
		return false;
	}
	if (type == 11) {
		out->type = 3;
		out->code = code;
		return true;
	}
	if (type == 12 && (code == 0 || code == 2)) {
		__u8 pointer = value >> 24, to;

		if (pointer <= 1)
			to = pointer;
		else if (pointer <= 3)
			to = 4;
		else if (pointer == 8)
			to = 7;
		else if (pointer == 9)
			to = 6;
		else if (pointer >= 12 && pointer <= 15)
			to = 8;
		else if (pointer >= 16 && pointer <= 19)
			to = 24;
		else
			return false;
		out->type = 4;
		out->rest = bpf_htonl(to);
		return true;
	}
	return false;
}

INLINE bool icmp_error_to_4(__u8 type, __u8 code, __be32 rest, struct icmp_meaning *out)
{
	__u32 value = bpf_ntohl(rest);

	out->rest = 0;
	out->code = 0;
	out->type = 3;
	if (type == 1) {
		if (code > 4)
			return false;
		out->code = code == 1 ? 10 : code == 4 ? 3 : 1;
		return true;
	}
	if (type == 2) {
		__u32 mtu = value < 1280 ? 1280 : value;

		mtu -= 20;
		out->code = 4;
		out->rest = bpf_htonl(mtu > 0xffff ? 0xffff : mtu);
		return true;
	}
	if (type == 3) {
		out->type = 11;
		out->code = code;
		return true;
	}
	if (type == 4 && code == 1) {
		out->code = 2;
		return true;
	}
	if (type == 4 && code == 0) {
		__u8 to;

		if (value <= 1)
			to = value;
		else if (value == 4 || value == 5)
			to = 2;
		else if (value == 6)
			to = 9;
		else if (value == 7)
			to = 8;
		else if (value >= 8 && value <= 23)
			to = 12;
		else if (value >= 24 && value <= 39)
			to = 16;
		else
			return false;
		out->type = 12;
		out->rest = bpf_htonl((__u32)to << 24);
		return true;
	}
	return false;
}

/* The 8 bytes behind a quoted header: ports and checksum, or an echo. */
union quoted {
	__be16 words[4];
	__be32 longs[2];
	__u8 bytes[8];
};

/* Changes the checksum word of quoted UDP, or type and checksum of a quoted echo, by the difference of the headers. */
INLINE void fix_quoted_sum(__be16 *checksum, __s64 difference, bool udp)
{
	if (udp && *checksum == 0)
		return;
	/* csum_replace_by_diff: fold(diff + ~sum) */
	*checksum = fold((__u64)(__u32)difference + (__u16)~*checksum);
	if (udp && *checksum == 0)
		*checksum = 0xffff;
}
