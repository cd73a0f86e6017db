/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* State: which flows were let through, and which way they take. docs/packet.md, steps 6 and 10. */
#pragma once

#include "packet.h"

INLINE bool expired(const struct flow *flow, __u8 protocol, __u64 now)
{
	__u64 idle = now - flow->last_seen;
	__u32 both = FLOW_FIN_VM | FLOW_FIN_REMOTE;

	if ((__s64)idle < 0)
		return false;
	if (protocol != PROTOCOL_TCP)
		return idle > 120 * SECOND;
	if (flow->flags & FLOW_RST || (flow->flags & both) == both)
		return idle > 10 * SECOND;
	return idle > 30 * 60 * SECOND;
}

INLINE struct flow *find_flow(const struct flow_key *key, __u64 now)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	return flow && !expired(flow, key->protocol, now) ? flow : NULL;
}

/* The flow of a packet from the VM, or toward it. */
INLINE void set_flow_key(struct flow_key *key, const struct packet *p, __u32 nic, bool incoming)
{
	*key = (struct flow_key){
		.nic = nic,
		.protocol = p->protocol,
		.local = incoming ? p->destination : p->source,
		.remote = incoming ? p->source : p->destination,
		.local_port = incoming ? p->destination_port : p->source_port,
		.remote_port = incoming ? p->source_port : p->destination_port,
	};
}

/* Whether the flow goes to a service or to the platform, so that translated packets alone are its answers. */
INLINE bool tunnelled(const struct flow *flow)
{
	return flow->flags & FLOW_VIA_KNOWN && flow->via != 0;
}

INLINE __u32 tcp_marks(const struct packet *p, bool incoming)
{
	if (p->protocol != PROTOCOL_TCP)
		return 0;
	return (p->tcp_flags & TCP_RST ? FLOW_RST : 0) |
	       (p->tcp_flags & TCP_FIN ? (incoming ? FLOW_FIN_REMOTE : FLOW_FIN_VM) : 0);
}

/* Writes only what changed, and the time once a second, so that a busy flow's line stays clean in every cache. */
INLINE void refresh_flow(struct flow *flow, const struct packet *p, bool incoming, __u64 now)
{
	__u32 flags = flow->flags;

	/* A SYN without ACK begins a new connection on the same ports. */
	if (p->protocol == PROTOCOL_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		flags &= ~(FLOW_FIN_VM | FLOW_FIN_REMOTE | FLOW_RST);
	flags |= tcp_marks(p, incoming);

	if (now - flow->last_seen > SECOND || flags != flow->flags)
		flow->last_seen = now;
	if (flags != flow->flags)
		flow->flags = flags;
}

/* The flow of the packet that an ICMPv4 error at l4 quotes, NULL for none. incoming is the error's own way. */
INLINE struct flow *quoted_flow(struct __sk_buff *skb, const struct packet *p, __u32 nic, bool incoming, __u64 now)
{
	struct {
		struct ipv4 ip;
		__be16 words[4];
	} quote;
	struct flow_key key = {.nic = nic};

	if (p->l4_length < ICMP_LEN + QUOTE_LEN || bpf_skb_load_bytes(skb, p->l4 + ICMP_LEN, &quote, sizeof(quote)))
		return NULL;
	if (quote.ip.version_length != 0x45)
		return NULL;
	/* An error from the VM is about a packet that went to it; one to the VM about a packet of its own. */
	key.protocol = quote.ip.protocol;
	key.local = incoming ? quote.ip.source : quote.ip.destination;
	key.remote = incoming ? quote.ip.destination : quote.ip.source;
	if (key.protocol == PROTOCOL_TCP || key.protocol == PROTOCOL_UDP) {
		key.local_port = quote.words[incoming ? 0 : 1];
		key.remote_port = quote.words[incoming ? 1 : 0];
	} else if (key.protocol == PROTOCOL_ICMP) {
		__u8 type = *(__u8 *)&quote.words[0];

		if (type == 0 || type == 8)
			key.local_port = key.remote_port = quote.words[2];
	}
	struct flow *flow = find_flow(&key, now);

	return flow && !(incoming && tunnelled(flow)) ? flow : NULL;
}
