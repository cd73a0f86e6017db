/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What a VM sends, one step after another: docs/packet.md, "From a VM". */
#pragma once

#include "fabric.h"
#include "flow.h"
#include "judge.h"
#include "mss.h"
#include "reply.h"

INLINE bool same_address(const struct place *place, __be32 ipv4, const struct nic *nic)
{
	return place->subnet == nic->subnet && ipv4 == nic->ipv4;
}

/* Where an outgoing packet goes. */
struct outlet {
	struct address source, destination;
	__u32 via;
	__u32 generation; /* of the plan that says so */
	__u8 translated;
	__u8 reason;
	__u8 gateway; /* a flow that begins now is the NAT gateway's */
};

/* Steps 7 and 8. of_gateway tells whether what leaves to the Internet goes by the NAT gateway. A reason from
 * REASON_MALFORMED on is a denial. */
static __noinline long choose_outlet(const struct packet *p, const struct nic *nic, const struct node *node, __u32 of_gateway,
				     struct outlet *out)
{
	struct way way = {};
	struct place *place;
	struct directory_key where;

	if (!p || !nic || !node || !out)
		return REASON_MALFORMED;
	set_address(&out->source, &node->locator, FUNCTION_NIC, nic->subnet, nic->ipv4);
	if (is_platform(p->destination)) {
		if (is_zero(&node->platform))
			return REASON_NO_NODE;
		set_address(&out->destination, &node->platform, FUNCTION_PLATFORM, IDENTITY_PLATFORM, p->destination);
		out->via = IDENTITY_PLATFORM;
		out->translated = 1;
		return REASON_PLATFORM;
	}
	find_way(nic, node, p, &way);
	if (way.by_service) {
		struct item_key key = {.ref = nic->services, .index = way.service.target};
		struct target *target;

		if (nic->policy) {
			struct policy_key wanted = {.ref = nic->policy, .address = p->destination};

			if (!bpf_map_lookup_elem(&policies, &wanted))
				return REASON_ENDPOINT_POLICY;
		}
		target = bpf_map_lookup_elem(&targets, &key);
		if (!target || is_zero(&target->locator))
			return REASON_NO_NODE;
		set_address(&out->destination, &target->locator, FUNCTION_SERVICE, target->service, p->destination);
		out->via = target->service;
		out->translated = 1;
		return REASON_SERVICE_ENDPOINT;
	}
	if (!way.hop.present)
		return REASON_NO_ROUTE;
	out->via = 0;
	out->translated = 0;
	where.vnet = way.hop.vnet;
	switch (way.hop.type) {
	case NEXT_HOP_NONE:
		return REASON_ROUTE_NONE;
	case NEXT_HOP_GATEWAY:
		return REASON_NO_GATEWAY;
	case NEXT_HOP_VNET_LOCAL:
	case NEXT_HOP_VNET_PEERING:
		where.ipv4 = p->destination;
		place = bpf_map_lookup_elem(&directory, &where);
		if (!place)
			return REASON_NO_SUCH_ADDRESS;
		set_address(&out->destination, &place->locator, FUNCTION_NIC, place->subnet, p->destination);
		return REASON_VIRTUAL_NETWORK;
	case NEXT_HOP_VIRTUAL_APPLIANCE:
		where.ipv4 = way.hop.address;
		place = bpf_map_lookup_elem(&directory, &where);
		if (!place)
			return REASON_APPLIANCE_UNOWNED;
		if (!place->forwarding)
			return REASON_APPLIANCE_NOT_FORWARDING;
		if (same_address(place, way.hop.address, nic))
			return REASON_APPLIANCE_LOOP;
		set_address(&out->destination, &place->locator, FUNCTION_APPLIANCE, place->subnet, way.hop.address);
		return REASON_APPLIANCE;
	case NEXT_HOP_INTERNET:
		if (!(nic->flags & NIC_OUTBOUND))
			return REASON_NO_OUTBOUND;
		if (is_zero(&node->egress))
			return REASON_NO_NODE;
		set_address(&out->destination, &node->egress,
			    way.regional ? FUNCTION_REGIONAL_EGRESS : of_gateway ? FUNCTION_NAT_EGRESS : FUNCTION_INTERNET_EGRESS,
			    IDENTITY_NONE, p->destination);
		return way.regional ? REASON_REGIONAL_EGRESS : of_gateway ? REASON_NAT_GATEWAY : REASON_INTERNET;
	}
	return REASON_NO_NODE;
}

/* Steps 7 and 8 by what the flow remembers of them. */
INLINE void recall_outlet(const struct flow *flow, const struct nic *nic, const struct node *node, struct outlet *out)
{
	set_address(&out->source, &node->locator, FUNCTION_NIC, nic->subnet, nic->ipv4);
	out->destination = flow->destination;
	out->via = flow->via;
	out->translated = flow->translated;
}

/* Step 10 for a flow that is new, or whose outlet was not known. The entry is replaced as a whole: another processor sees
 * the old outlet or this one, with the generation that it belongs to. */
static __noinline long remember_flow(const struct flow_key *key, const struct flow *known, const struct packet *p,
				     const struct outlet *outlet, __u64 now)
{
	struct flow fresh = {.last_seen = now};

	if (!key || !p || !outlet)
		return -1;
	fresh.flags = FLOW_OPENED_BY_VM | tcp_marks(p, false) | (outlet->gateway ? FLOW_OF_GATEWAY : 0);
	if (known) {
		fresh.last_seen = known->last_seen;
		fresh.flags = known->flags;
		refresh_flow(&fresh, p, false, now);
	}
	fresh.flags |= FLOW_VIA_KNOWN;
	fresh.via = outlet->via;
	fresh.generation = outlet->generation;
	fresh.translated = outlet->translated;
	fresh.reason = outlet->reason;
	fresh.destination = outlet->destination;
	return bpf_map_update_elem(&flows, key, &fresh, BPF_ANY);
}

/* Whether a packet of a NIC with a NAT gateway is of a flow of the gateway, or begins one (OUT-1). An ICMP error goes the
 * way of the flow that it is about, a later fragment that of its first one. */
static __noinline long is_of_gateway(struct __sk_buff *skb, const struct packet *p, const struct nic *nic, __u64 now)
{
	struct flow_key key;
	struct flow *flow;

	if (!p || !nic)
		return 0;
	set_flow_key(&key, p, nic->number, false);
	flow = p->error ? quoted_flow(skb, p, nic->number, false, now) : find_flow(&key, now);
	return !flow || flow->flags & FLOW_OF_GATEWAY;
}

/* Whether a packet goes another way than its TCP connection (SE-3, OUT-1). */
INLINE bool way_changed(const struct flow *flow, const struct outlet *outlet)
{
	return flow->flags & FLOW_VIA_KNOWN &&
	       (flow->via != outlet->via ||
		(flow->flags & FLOW_OF_GATEWAY && outlet->destination.function == FUNCTION_INTERNET_EGRESS));
}

/* The second part of step 8: what cannot be translated. */
INLINE enum reason translatable(struct __sk_buff *skb, const struct packet *p, const struct nic *nic)
{
	if (p->source != nic->ipv4)
		return REASON_FORWARDED_TO_SERVICE;
	if (p->protocol != PROTOCOL_TCP && p->protocol != PROTOCOL_UDP && p->protocol != PROTOCOL_ICMP)
		return REASON_UNSUPPORTED_PROTOCOL;
	if (p->header_length > IPV4_LEN && source_route(skb, p))
		return REASON_SOURCE_ROUTE;
	if (p->protocol == PROTOCOL_UDP && p->first && p->checksum == 0)
		return REASON_UDP_ZERO_CHECKSUM;
	if (p->protocol == PROTOCOL_ICMP) {
		if (p->first || p->later)
			return REASON_UNSUPPORTED_PROTOCOL;
		if (!p->error && p->icmp_type != 0 && p->icmp_type != 8)
			return REASON_UNSUPPORTED_PROTOCOL;
		if (p->error)
			return refuse_error(skb, p);
	}
	return REASON_NONE;
}

/* Step 6 for a packet from the VM without a flow. */
static __noinline long admit_outgoing(struct __sk_buff *skb, const struct packet *p, const struct nic *nic, __u64 now)
{
	if (!p || !nic)
		return REASON_MALFORMED;
	if (p->error)
		return quoted_flow(skb, p, nic->number, false, now) ? REASON_NONE : REASON_UNRELATED_ERROR;
	if (is_platform_dns(p->destination))
		return nic->flags & NIC_DENY_DNS ? REASON_SECURITY_GROUP : REASON_NONE;
	if (is_platform_metadata(p->destination))
		return nic->flags & NIC_DENY_METADATA ? REASON_SECURITY_GROUP : REASON_NONE;
	if (!list_allows(nic->outgoing[0], p) || !list_allows(nic->outgoing[1], p))
		return REASON_SECURITY_GROUP;
	return REASON_NONE;
}

INLINE int reply(struct __sk_buff *skb, const struct nic *nic, long failed, enum reason reason)
{
	count(nic->slot, reason);
	return failed ? TC_ACT_SHOT : bpf_redirect(nic->ifindex, 0);
}

static __noinline int judge_outgoing(struct __sk_buff *skb, const struct nic *nic, const struct node *node, __u32 generation)
{
	struct packet p = {.l3 = ETH_LEN};
	struct outlet outlet = {};
	struct flow_key key;
	struct flow *flow = NULL;
	__u64 now = bpf_ktime_get_coarse_ns();
	enum reason reason;
	__u32 added, extra;

	if (!nic || !node)
		return TC_ACT_SHOT;
	reason = parse_ipv4(skb, &p, skb->len - ETH_LEN);
	if (reason)
		return drop(nic->slot, reason);
	if (skb->len > ETH_LEN + p.total && bpf_skb_change_tail(skb, ETH_LEN + p.total, 0))
		return drop(nic->slot, REASON_MALFORMED);
	if (p.source != nic->ipv4 && (!(nic->flags & NIC_FORWARDING) || unusable(p.source)))
		return drop(nic->slot, REASON_SOURCE_ADDRESS);
	if (unusable(p.destination))
		return drop(nic->slot, REASON_DESTINATION);
	reason = p.later ? find_fragment(&p, nic->number, WAY_OUT, now) : parse_l4(skb, &p, false);
	if (reason)
		return drop(nic->slot, reason);
	if (!p.later) {
		set_flow_key(&key, &p, nic->number, false);
		if (!p.error)
			flow = find_flow(&key, now);
		if (!flow) {
			long refused = admit_outgoing(skb, &p, nic, now);

			if (refused)
				return drop(nic->slot, refused);
		}
		if (p.first)
			remember_fragment(&p, nic->number, WAY_OUT, now);
	}

	bool known = flow && flow->generation == generation;
	long chosen;

	if (known) {
		recall_outlet(flow, nic, node, &outlet);
		chosen = flow->reason;
	} else {
		outlet.gateway = (nic->flags & NIC_NAT_GATEWAY) != 0;
		chosen = choose_outlet(&p, nic, node, outlet.gateway && is_of_gateway(skb, &p, nic, now), &outlet);
		outlet.reason = chosen;
		outlet.generation = generation;
	}
	if (chosen == REASON_ENDPOINT_POLICY && p.protocol == PROTOCOL_TCP && !p.later && !(p.tcp_flags & TCP_RST))
		return reply(skb, nic, answer_reset(skb, &p, nic), REASON_ENDPOINT_POLICY);
	if (chosen >= REASON_MALFORMED)
		return drop(nic->slot, chosen);
	if (outlet.translated) {
		reason = translatable(skb, &p, nic);
		if (reason)
			return drop(nic->slot, reason);
	}

	added = outlet.translated ? 20 : 40;
	extra = added;
	if (outlet.translated)
		extra = 20 + (p.first || p.later ? FRAGMENT_LEN : 0) - (p.header_length - IPV4_LEN);
	if (segment_length(skb, &p) + extra > node->mtu) {
		if (p.error || p.later)
			return drop(nic->slot, REASON_TOO_BIG);
		return reply(skb, nic, answer_too_big(skb, &p, nic, node->mtu - added), REASON_TOO_BIG);
	}

	if (!p.later && !p.error) {
		if (flow && p.protocol == PROTOCOL_TCP && way_changed(flow, &outlet)) {
			bpf_map_delete_elem(&flows, &key);
			if (p.tcp_flags & TCP_RST)
				return drop(nic->slot, REASON_PATH_CHANGED);
			return reply(skb, nic, answer_reset(skb, &p, nic), REASON_PATH_CHANGED);
		}
		if (known) {
			refresh_flow(flow, &p, false, now);
		} else {
			long failed = remember_flow(&key, flow, &p, &outlet, now);

			/* A result that nobody takes is left out, and the verifier then finds something else in its register. */
			asm volatile("" : : "r"(failed));
		}
	}
	if (!p.later && p.protocol == PROTOCOL_TCP && p.tcp_flags & TCP_SYN)
		clamp_mss(skb, &p, node->mtu - 40 - added);

	if (!outlet.translated) {
		if (encapsulate(skb, p.tos, p.total, &outlet.source, &outlet.destination))
			return drop(nic->slot, REASON_MALFORMED);
	} else {
		long failed = p.error ? error_to_6(skb, &p, &outlet.source, &outlet.destination)
				      : translate_to_6(skb, &p, &outlet.source, &outlet.destination);

		if (failed)
			return drop(nic->slot, failed);
	}
	count(nic->slot, chosen);
	return send(skb, node, &outlet.destination);
}
