// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//go:build ignore

/* The programs of the kernel data path. They follow docs/packet.md, as the Go pipeline does. */
#include "outgoing.h"
#include "incoming.h"
#include "edge.h"
#include "direct.h"

char __license[] SEC("license") = "GPL"; /* the helpers that translate ask for it */

/* At the ingress of a NIC's link: what the VM sends. */
SEC("tcx/ingress")
int from_vm(struct __sk_buff *skb)
{
	struct node *node = this_node();
	__u32 ifindex = skb->ifindex, generation;
	struct ethernet ethernet;
	struct nic *nic;

	/* Before the NIC: what a flow then learns from an old plan is never taken for the new one's. */
	generation = node ? *(volatile __u32 *)&node->generation : 0;
	if (!node || !generation)
		return drop(0, REASON_UNSYNCED);
	nic = bpf_map_lookup_elem(&links, &ifindex);
	if (!nic)
		return drop(0, REASON_NO_SUCH_NIC);
	if (skb->len < ETH_LEN || load(skb, 0, &ethernet, sizeof(ethernet)))
		return drop(nic->slot, REASON_MALFORMED);
	if (!same(ethernet.source, nic->mac, 6))
		return drop(nic->slot, REASON_SOURCE_MAC);
	if (skb->vlan_present)
		return drop(nic->slot, REASON_VLAN);
	switch (ethernet.type) {
	case bpf_htons(ETH_P_IP):
		return judge_outgoing(skb, nic, node, generation);
	case bpf_htons(ETH_P_ARP):
		if (answer_arp(skb, nic))
			return drop(nic->slot, REASON_ARP_IGNORED);
		return reply(skb, nic, 0, REASON_ARP);
	case bpf_htons(ETH_P_IPV6):
		return drop(nic->slot, REASON_IPV6);
	case bpf_htons(ETH_P_8021Q):
	case bpf_htons(ETH_P_8021AD):
		return drop(nic->slot, REASON_VLAN);
	}
	return drop(nic->slot, REASON_ETHER_TYPE);
}

/* At the ingress of a host's fabric interface. */
SEC("tcx/ingress")
int from_fabric(struct __sk_buff *skb)
{
	struct node *node = this_node();
	struct nic_key key;
	struct ipv6 header;
	struct nic *nic;
	__u32 payload;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->len < ETH_LEN + IPV6_LEN ||
	    load(skb, ETH_LEN, &header, sizeof(header)) || bpf_ntohl(header.version_class_flow) >> 28 != 6)
		return TC_ACT_UNSPEC;
	if (!node || !node->generation) /* own addresses have function NIC and identity 0: those alone pass unsynced */
		return header.destination.identity == IDENTITY_NONE ? TC_ACT_UNSPEC : drop(0, REASON_UNSYNCED);
	if (!own_locator(node, &header.destination) || header.destination.identity == IDENTITY_NONE ||
	    (header.destination.function != FUNCTION_NIC && header.destination.function != FUNCTION_APPLIANCE))
		return TC_ACT_UNSPEC;
	payload = bpf_ntohs(header.payload);
	if (payload > skb->len - ETH_LEN - IPV6_LEN)
		return drop(0, REASON_MALFORMED);
	if (skb->len > ETH_LEN + IPV6_LEN + payload && bpf_skb_change_tail(skb, ETH_LEN + IPV6_LEN + payload, 0))
		return drop(0, REASON_MALFORMED);
	key.subnet = bpf_ntohl(header.destination.identity);
	key.ipv4 = header.destination.ipv4;
	nic = bpf_map_lookup_elem(&nics, &key);
	if (!nic)
		return drop(0, REASON_NO_SUCH_NIC);
	switch (header.next) {
	case PROTOCOL_IPV4:
		return judge_encapsulated(skb, nic, header.destination.function, payload);
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
	case PROTOCOL_ICMPV6:
	case PROTOCOL_FRAGMENT:
		return judge_translated(skb, nic, node, &header);
	case 0:
	case 43:
	case 50:
	case 51:
	case 60:
	case 135:
		return drop(nic->slot, REASON_EXTENSION_HEADER);
	}
	return drop(nic->slot, REASON_UNSUPPORTED_PROTOCOL);
}

/* At the ingress of an edge's fabric interface. */
SEC("tcx/ingress")
int edge_from_fabric(struct __sk_buff *skb)
{
	struct node *node = this_node();

	if (!node || !node->generation) {
		__u8 next = 0;

		bpf_skb_load_bytes(skb, ETH_LEN + offsetof(struct ipv6, next), &next, 1);
		return skb->protocol == bpf_htons(ETH_P_IPV6) && next == PROTOCOL_IPV4 ? drop(0, REASON_UNSYNCED) : TC_ACT_UNSPEC;
	}
	return leave_fabric(skb, node);
}

/* At the egress of an edge's shadow0. */
SEC("tcx/egress")
int edge_to_fabric(struct __sk_buff *skb)
{
	struct node *node = this_node();

	if (!node || !node->generation)
		return drop(0, REASON_UNSYNCED);
	return enter_fabric(skb, node);
}

#define GATEWAY_PROGRAM(name, section, take, judge)                     \
	SEC(section)                                                    \
	int name(struct __sk_buff *skb)                                 \
	{                                                               \
		struct node *node = this_node();                        \
		struct segment segment = {};                            \
                                                                        \
		if (!node)                                              \
			return drop(0, REASON_UNSYNCED);                \
		switch (take) {                                         \
		case TAKEN_NOT_OURS:                                    \
			return TC_ACT_UNSPEC;                           \
		case TAKEN_MALFORMED:                                   \
			return drop(0, REASON_MALFORMED);               \
		case TAKEN:                                             \
			break;                                          \
		}                                                       \
		return judge(skb, node, &segment);                      \
	}

/* At a gateway's fabric interface, and at its interface toward the Internet: what callers send, and what is answered. */
GATEWAY_PROGRAM(gateway_from_fabric, "tcx/ingress", take_6(skb, node, &segment, true), judge_caller)
GATEWAY_PROGRAM(gateway_to_fabric, "tcx/egress", take_6(skb, node, &segment, false), judge_server)
GATEWAY_PROGRAM(gateway_from_internet, "tcx/ingress", take_4(skb, &segment, true), judge_caller)
GATEWAY_PROGRAM(gateway_to_internet, "tcx/egress", take_4(skb, &segment, false), judge_server)
