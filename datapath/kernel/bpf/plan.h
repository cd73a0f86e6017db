/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The maps that the driver fills from a plan, and those that the programs fill. Addresses and ports stand in network
 * byte order, everything else in the host's. datapath/kernel/layout.go has the same structures for Go, and a
 * test compares sizes and offsets by the object's BTF.
 *
 * Shared content (routes, rules, sets, policies, service tables) is keyed by its plan.Ref, a hash of the content as a
 * number, 0 for none: what stands under a ref never changes. A NIC names its refs; replacing the NIC's entry is the one
 * step in which a way, from the VM or to it, changes over. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "wire.h"

enum {
	MAX_NICS = 1024,
	MAX_FLOWS = 262144,
	MAX_FRAGMENTS = 4096,
	MAX_RULES = 4096,
	MAX_CANDIDATES = 6,
	REASONS = 64,
};

/* The one entry of map nodes. generation 0 means that no plan was applied yet: all is dropped. */
struct node {
	struct locator locator;
	struct locator platform;
	struct locator egress;
	struct locator service; /* a gateway's: of its region's instances */
	__u32 generation;
	__u32 mtu;
	__u32 fabric_ifindex;
	__u32 documented_routes;
	__u32 shadow_ifindex;
	__u32 pad;
};

enum nic_flag {
	NIC_FORWARDING = 1,
	NIC_OUTBOUND = 2,
	NIC_DENY_DNS = 4,
	NIC_DENY_METADATA = 8,
	NIC_VETH = 16, /* its link's peer can be reached without the host's queue */
	NIC_NAT_GATEWAY = 32, /* what its VM opens leaves by its subnet's NAT gateway */
};

struct nic_key {
	__u32 subnet; /* host order */
	__be32 ipv4;
};

struct nic {
	__u32 number;
	__u32 ifindex;
	__u32 vnet;
	__u32 subnet;
	__be32 ipv4;
	__u8 mac[6];
	__u8 flags;
	__u8 pad;
	__u32 slot; /* of its counters */
	__u32 pad2;
	__u64 outgoing[2];
	__u64 incoming[2];
	__u64 routes;
	__u64 services;
	__u64 policy;
	__u64 enabled;
};

struct prefix_key {
	__u32 bits; /* 64 for the ref, and the prefix length */
	__u32 ref[2]; /* low half first */
	__be32 address;
};

struct hop {
	__be32 address;
	__u32 vnet;
	__u8 type;
	__u8 source;
	__u8 bits; /* length of the route's prefix */
	__u8 present;
};

struct route {
	struct hop hop;
	struct hop beneath;
};

enum next_hop_type {
	NEXT_HOP_NONE,
	NEXT_HOP_VNET_LOCAL,
	NEXT_HOP_VNET_PEERING,
	NEXT_HOP_VIRTUAL_APPLIANCE,
	NEXT_HOP_INTERNET,
	NEXT_HOP_GATEWAY,
	NEXT_HOP_SERVICE_ENDPOINT,
	NEXT_HOP_INTERFACE_ENDPOINT,
};

enum route_source { SOURCE_DEFAULT, SOURCE_GATEWAY, SOURCE_USER };

struct item_key {
	__u64 ref;
	__u32 index;
	__u32 pad;
};

struct rule {
	__u64 source;	   /* a set, 0 for any */
	__u64 destination; /* likewise */
	__u16 source_first, source_last; /* ports, host order */
	__u16 destination_first, destination_last;
	__u8 protocol; /* 0 for any */
	__u8 allow;
	__u16 priority;
	__u32 pad;
};

struct candidate {
	__u8 bit;
	__u8 bits;
	__u16 target;
};

struct service_entry {
	__u8 count;
	__u8 regional;
	__u16 pad;
	struct candidate candidates[MAX_CANDIDATES];
};

struct target {
	struct locator locator;
	__u32 service;
	__u32 pad;
};

struct directory_key {
	__u32 vnet;
	__be32 ipv4;
};

struct place {
	struct locator locator;
	__u32 subnet;
	__u32 forwarding;
};

struct policy_key {
	__u64 ref;
	__be32 address;
	__u32 pad;
};

struct flow_key {
	__u32 nic;
	__be32 local;
	__be32 remote;
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
	__u8 pad[3];
};

enum flow_flag {
	FLOW_VIA_KNOWN = 1,
	FLOW_OPENED_BY_VM = 2,
	FLOW_FIN_VM = 4,
	FLOW_FIN_REMOTE = 8,
	FLOW_RST = 16,
	FLOW_OF_GATEWAY = 32, /* the VM opened it while its subnet had a NAT gateway */
};

struct flow {
	__u64 last_seen; /* monotonic nanoseconds */
	__u32 via;	 /* identity of the service that its packets take, 0 for none */
	__u32 flags;
	/* Where the VM's packets go by the plan of this generation, so that routes are looked up once a flow and plan.
	 * These change together alone, by replacing the entry. 0 for not known. */
	__u32 generation;
	__u8 translated;
	__u8 reason;
	__u16 pad;
	struct address destination;
};

struct fragment_key {
	__u32 nic;
	__be32 source;
	__be32 destination;
	__be16 id;
	__u8 protocol;
	__u8 way; /* enum way_of_fragment */
};

struct fragment {
	__u64 seen;
	__be16 local_port;
	__be16 remote_port;
	__u16 length; /* layer-4 bytes of the first fragment */
	__u16 pad;
};

struct egress_key {
	__u32 subnet;
	__be32 ipv4;
};

struct egress {
	__be32 public;	 /* 0 for none */
	__be32 platform;
	__be32 nat; /* the NAT gateway's address, 0 for none */
	__u32 outbound;
};

/* Whom the edge gives a packet to that is routed to a public or a platform address. */
struct ingress {
	struct locator locator;
	__u32 subnet;
	__be32 ipv4;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} nodes SEC(".maps");

#define HASH(name, entries, key_type, value_type)               \
	struct {                                                \
		__uint(type, BPF_MAP_TYPE_HASH);                \
		__uint(max_entries, entries);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC);           \
		__type(key, key_type);                          \
		__type(value, value_type);                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);            \
	} name SEC(".maps")

#define TRIE(name, entries, value_type)                         \
	struct {                                                \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);            \
		__uint(max_entries, entries);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC);           \
		__type(key, struct prefix_key);                 \
		__type(value, value_type);                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);            \
	} name SEC(".maps")

#define LRU(name, entries, key_type, value_type)                \
	struct {                                                \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);            \
		__uint(max_entries, entries);                   \
		__type(key, key_type);                          \
		__type(value, value_type);                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);            \
	} name SEC(".maps")

HASH(links, MAX_NICS, __u32, struct nic); /* by ifindex, for what comes from the VM; the same as in nics */
HASH(nics, MAX_NICS, struct nic_key, struct nic);
HASH(directory, 1 << 20, struct directory_key, struct place);
HASH(rules, 1 << 18, struct item_key, struct rule);
HASH(targets, 1 << 14, struct item_key, struct target);
HASH(policies, 1 << 20, struct policy_key, __u8);
HASH(egresses, 1 << 17, struct egress_key, struct egress);
HASH(ingresses, 1 << 18, __be32, struct ingress);
TRIE(routes, 1 << 20, struct route);
TRIE(services, 1 << 20, struct service_entry);
TRIE(sets, 1 << 20, __u8);
LRU(flows, MAX_FLOWS, struct flow_key, struct flow);
LRU(fragments, MAX_FRAGMENTS, struct fragment_key, struct fragment);

/* By slot * REASONS + reason. Slot 0 is for what no NIC can be named for. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_NICS * REASONS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");
