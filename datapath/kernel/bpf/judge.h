/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Security groups and routes: docs/packet.md, steps 6 to 8. */
#pragma once

#include "packet.h"

struct rule_search {
	__u64 list;
	__be32 source, destination;
	__u16 source_port, destination_port; /* host order, as rules have them */
	__u8 protocol;
	__u8 decided, allow;
};

INLINE struct prefix_key whole_address(__u64 ref, __be32 address)
{
	return (struct prefix_key){.bits = 64 + 32, .ref = {ref, ref >> 32}, .address = address};
}

INLINE bool in_set(__u64 set, __be32 address)
{
	struct prefix_key key = whole_address(set, address);

	return set == 0 || bpf_map_lookup_elem(&sets, &key);
}

static long try_rule(__u64 index, struct rule_search *search)
{
	struct item_key key = {.ref = search->list, .index = index};
	struct rule *rule = bpf_map_lookup_elem(&rules, &key);

	if (!rule)
		return 1;
	if ((rule->protocol && rule->protocol != search->protocol) ||
	    search->source_port < rule->source_first || search->source_port > rule->source_last ||
	    search->destination_port < rule->destination_first || search->destination_port > rule->destination_last ||
	    !in_set(rule->source, search->source) || !in_set(rule->destination, search->destination))
		return 0;
	search->decided = 1;
	search->allow = rule->allow;
	return 1;
}

/* First match decides, no match denies, list 0 lets all pass. */
INLINE bool list_allows(__u64 list, const struct packet *p)
{
	bool ports = p->protocol != PROTOCOL_ICMP;
	struct rule_search search = {
		.list = list,
		.source = p->source,
		.destination = p->destination,
		.source_port = ports ? bpf_ntohs(p->source_port) : 0,
		.destination_port = ports ? bpf_ntohs(p->destination_port) : 0,
		.protocol = p->protocol,
	};

	if (list == 0)
		return true;
	bpf_loop(MAX_RULES, try_rule, &search, 0);
	return search.decided && search.allow;
}

INLINE bool is_platform_dns(__be32 address) { return address == bpf_htonl(0xa83f8110); }
INLINE bool is_platform_metadata(__be32 address) { return address == bpf_htonl(0xa9fea9fe); }
INLINE bool is_platform(__be32 address) { return is_platform_dns(address) || is_platform_metadata(address); }

/* What was found for a destination. */
struct way {
	struct hop hop;		      /* present is 0 for no route */
	struct candidate service;     /* meaningful if by_service */
	__u8 by_service, regional;
};

INLINE void find_way(const struct nic *nic, const struct node *node, const struct packet *p, struct way *way)
{
	struct prefix_key key = whole_address(nic->services, p->destination);
	bool tunnels = p->protocol == PROTOCOL_TCP || p->protocol == PROTOCOL_UDP; /* SE-6 */
	struct service_entry *entry = NULL;
	struct route *route;
	bool found = false;

	if (tunnels && nic->services)
		entry = bpf_map_lookup_elem(&services, &key);
	if (entry) {
		way->regional = entry->regional;
#pragma unroll
		for (int i = 0; i < MAX_CANDIDATES; i++) {
			struct candidate *candidate = &entry->candidates[i];

			if (!found && i < entry->count && nic->enabled & (1ULL << (candidate->bit & 63))) {
				way->service = *candidate;
				found = true;
			}
		}
	}
	if (found && node->documented_routes) { /* ROUTE-13 */
		way->by_service = 1;
		return;
	}
	key = whole_address(nic->routes, p->destination);
	route = nic->routes ? bpf_map_lookup_elem(&routes, &key) : NULL;
	if (route)
		way->hop = found && route->hop.source == SOURCE_GATEWAY ? route->beneath : route->hop; /* ROUTE-3 */
	if (!found)
		return;
	if (!way->hop.present || way->service.bits > way->hop.bits ||
	    (way->service.bits == way->hop.bits &&
	     (way->hop.source != SOURCE_USER || way->hop.type == NEXT_HOP_INTERNET)))
		way->by_service = 1;
}
