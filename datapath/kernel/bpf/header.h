/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Checksums, and the headers that translated packets and replies begin with. */
#pragma once

#include "packet.h"

/* From Linux 6.16 on, tells the checksum helper that IPv6 headers change no CHECKSUM_COMPLETE; the loader sets it. */
volatile const __u64 ipv6_checksum_flag;

INLINE __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The ones' complement sum of length bytes (a multiple of 4) added to seed. */
INLINE __s64 sum(const void *bytes, __u32 length, __wsum seed)
{
	return bpf_csum_diff(NULL, 0, (__be32 *)bytes, length, seed);
}

INLINE void set_ethernet(struct ethernet *ethernet, const struct nic *nic, __u16 type)
{
	const __u8 router[6] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc};

	__builtin_memcpy(ethernet->destination, nic->mac, 6);
	__builtin_memcpy(ethernet->source, router, 6);
	ethernet->type = bpf_htons(type);
}

INLINE void set_ipv4(struct ipv4 *header, __u8 tos, __u16 total, __be16 id, __u16 fragment, __u8 ttl, __u8 protocol,
		     __be32 source, __be32 destination)
{
	*header = (struct ipv4){
		.version_length = 0x45,
		.tos = tos,
		.total = bpf_htons(total),
		.id = id,
		.fragment = bpf_htons(fragment),
		.ttl = ttl,
		.protocol = protocol,
		.source = source,
		.destination = destination,
	};
	header->checksum = fold(sum(header, sizeof(*header), 0));
}

INLINE void set_ipv6(struct ipv6 *header, __u8 class, __u16 payload, __u8 next, __u8 hop_limit,
		     const struct address *source, const struct address *destination)
{
	header->version_class_flow = bpf_htonl(6 << 28 | class << 20);
	header->payload = bpf_htons(payload);
	header->next = next;
	header->hop_limit = hop_limit;
	header->source = *source;
	header->destination = *destination;
}

/* The part of an ICMPv6 checksum that is no part of an ICMP one. */
INLINE __s64 pseudo_header(const struct address *source, const struct address *destination, __u32 length, __u8 next, __wsum seed)
{
	struct {
		struct address source, destination;
		__be32 length, next;
	} pseudo = {*source, *destination, bpf_htonl(length), bpf_htonl(next)};

	return sum(&pseudo, sizeof(pseudo), seed);
}
