/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the fabric brings for a NIC, one step after another: docs/packet.md, "From the fabric". */
#pragma once

#include "fabric.h"
#include "flow.h"
#include "judge.h"
#include "mss.h"
#include "reply.h"

INLINE int deliver(struct __sk_buff *skb, const struct nic *nic)
{
	count(nic->slot, REASON_DELIVERED);
	if (nic->flags & NIC_VETH)
		return bpf_redirect_peer(nic->ifindex, 0);
	return bpf_redirect(nic->ifindex, 0);
}

static __noinline int judge_encapsulated(struct __sk_buff *skb, const struct nic *nic, __u32 function, __u32 payload)
{
	struct packet p = {.l3 = ETH_LEN + IPV6_LEN};
	struct ethernet ethernet;
	enum reason reason;
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!nic)
		return TC_ACT_SHOT;
	reason = parse_ipv4(skb, &p, payload);
	if (reason)
		return drop(nic->slot, reason);
	if (function == FUNCTION_NIC && p.destination != nic->ipv4)
		return drop(nic->slot, REASON_DESTINATION);
	if (function == FUNCTION_APPLIANCE && !(nic->flags & NIC_FORWARDING))
		return drop(nic->slot, REASON_APPLIANCE_NOT_FORWARDING);
	if (unusable(p.source))
		return drop(nic->slot, REASON_SOURCE_ADDRESS);
	if (unusable(p.destination))
		return drop(nic->slot, REASON_DESTINATION);
	reason = p.later ? find_fragment(&p, nic->number, WAY_IN, now) : parse_l4(skb, &p, false);
	if (reason)
		return drop(nic->slot, reason);
	if (!p.later) {
		struct flow_key key;

		set_flow_key(&key, &p, nic->number, true);
		if (p.error) {
			if (!quoted_flow(skb, &p, nic->number, true, now))
				return drop(nic->slot, REASON_UNRELATED_ERROR);
		} else {
			struct flow *flow = find_flow(&key, now);

			if (flow) {
				if (tunnelled(flow))
					return drop(nic->slot, REASON_UNSOLICITED);
				refresh_flow(flow, &p, true, now);
			} else {
				struct flow fresh = {.last_seen = now, .flags = tcp_marks(&p, true)};

				if (!list_allows(nic->incoming[0], &p) || !list_allows(nic->incoming[1], &p))
					return drop(nic->slot, REASON_SECURITY_GROUP);
				bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY);
			}
		}
		if (p.first)
			remember_fragment(&p, nic->number, WAY_IN, now);
	}
	if (decapsulate(skb))
		return drop(nic->slot, REASON_MALFORMED);
	if (skb->len > ETH_LEN + p.total && bpf_skb_change_tail(skb, ETH_LEN + p.total, 0))
		return drop(nic->slot, REASON_MALFORMED);
	set_ethernet(&ethernet, nic, ETH_P_IP);
	if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0))
		return drop(nic->slot, REASON_MALFORMED);
	return deliver(skb, nic);
}

/* As for errors from the VM. */
struct error_to_4_scratch {
	struct {
		struct icmp icmp;
		struct ipv6 ip;
		union quoted quoted;
	} six;
	struct {
		struct ipv4 ip;
		union quoted quoted;
	} inner;
	struct error_frame out;
	struct {
		struct address addresses[2];
		__be32 length, next, type;
	} old;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct error_to_4_scratch);
} scratches_to_4 SEC(".maps");

/* An ICMPv6 error toward a NIC: step 5. */
static __noinline int judge_error(struct __sk_buff *skb, const struct nic *nic, const struct node *node, const struct packet *p,
				  const struct address *from)
{
	struct error_to_4_scratch *scratch;
	__u32 zero = 0;
	struct flow_key key = {};
	struct address own;
	struct flow *flow;
	__be32 source = bpf_htonl(0xc0000008); /* 192.0.0.8 */
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!nic || !node || !p || !from)
		return TC_ACT_SHOT;
	scratch = bpf_map_lookup_elem(&scratches_to_4, &zero);
	if (!scratch || p->l4_length < sizeof(scratch->six) ||
	    bpf_skb_load_bytes(skb, p->l4, &scratch->six, sizeof(scratch->six)))
		return drop(nic->slot, REASON_MALFORMED);
	set_address(&own, &node->locator, FUNCTION_NIC, nic->subnet, nic->ipv4);
	if (!same(&scratch->six.ip.source, &own, sizeof(own)))
		return drop(nic->slot, REASON_UNRELATED_ERROR);
	key.nic = nic->number;

	if (scratch->six.ip.next == PROTOCOL_IPV4) {
		__u32 mtu = bpf_ntohl(scratch->six.icmp.rest);

		__u32 at = p->l4 + ICMP_LEN + IPV6_LEN, size;

		if (scratch->six.icmp.type != 2 || p->l4_length < ICMP_LEN + IPV6_LEN + QUOTE_LEN ||
		    bpf_skb_load_bytes(skb, at, &scratch->inner.ip, IPV4_LEN) || scratch->inner.ip.version_length >> 4 != 4)
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		size = (scratch->inner.ip.version_length & 15) * 4;
		if (size < IPV4_LEN || bpf_ntohs(scratch->inner.ip.total) < size + 8 || p->l4_length < ICMP_LEN + IPV6_LEN + size + 8 ||
		    bpf_skb_load_bytes(skb, at + size, &scratch->inner.quoted, 8))
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		key.protocol = scratch->inner.ip.protocol;
		key.local = scratch->inner.ip.source;
		key.remote = scratch->inner.ip.destination;
		if (key.protocol == PROTOCOL_TCP || key.protocol == PROTOCOL_UDP) {
			key.local_port = scratch->inner.quoted.words[0];
			key.remote_port = scratch->inner.quoted.words[1];
		} else if (key.protocol == PROTOCOL_ICMP && (scratch->inner.quoted.bytes[0] == 0 || scratch->inner.quoted.bytes[0] == 8)) {
			key.local_port = key.remote_port = scratch->inner.quoted.words[2];
		}
		flow = find_flow(&key, now);
		if (!flow || tunnelled(flow))
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		if (mtu < 1280)
			mtu = 1280;
		mtu -= 40;
		scratch->out.icmp.type = 3;
		scratch->out.icmp.code = 4;
		scratch->out.icmp.rest = bpf_htonl(mtu > 0xffff ? 0xffff : mtu);
		scratch->out.quoted_ip = scratch->inner.ip;
		scratch->out.quoted_ip.version_length = 0x45;
		scratch->out.quoted = scratch->inner.quoted;
		set_ipv4(&scratch->out.ip, 0, IPV4_LEN + ICMP_LEN + QUOTE_LEN, 0, 0x4000, 64, PROTOCOL_ICMP, scratch->inner.ip.destination, scratch->inner.ip.source);
	} else {
		struct icmp_meaning meaning;
		__be32 small[2] = {scratch->six.ip.source.ipv4, scratch->six.ip.destination.ipv4};
		__u32 length = bpf_ntohs(scratch->six.ip.payload), total = length + IPV4_LEN;
		__u8 protocol = scratch->six.ip.next;
		__s64 difference;

		key.local = scratch->six.ip.source.ipv4;
		key.remote = scratch->six.ip.destination.ipv4;
		key.protocol = protocol;
		if (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) {
			key.local_port = scratch->six.quoted.words[0];
			key.remote_port = scratch->six.quoted.words[1];
		} else if (protocol == PROTOCOL_ICMPV6 && (scratch->six.quoted.bytes[0] == 128 || scratch->six.quoted.bytes[0] == 129)) {
			key.protocol = PROTOCOL_ICMP;
			key.local_port = key.remote_port = scratch->six.quoted.words[2];
		} else {
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		}
		flow = find_flow(&key, now);
		if (!flow)
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		if ((from->function == FUNCTION_SERVICE || from->function == FUNCTION_PLATFORM) &&
		    flow->flags & FLOW_VIA_KNOWN && bpf_ntohl(from->identity) == flow->via)
			source = from->ipv4;
		if (!icmp_error_to_4(scratch->six.icmp.type, scratch->six.icmp.code, scratch->six.icmp.rest, &meaning))
			return drop(nic->slot, REASON_UNSUPPORTED_PROTOCOL);
		if (bpf_ntohl(scratch->six.ip.version_class_flow) >> 28 != 6 || length < 8 || total > 0xffff)
			return drop(nic->slot, REASON_UNRELATED_ERROR);
		scratch->out.quoted = scratch->six.quoted;
		if (protocol == PROTOCOL_UDP) {
			difference = bpf_csum_diff((__be32 *)&scratch->six.ip.source, 32, small, 8, 0);
			fix_quoted_sum(&scratch->out.quoted.words[3], difference, true);
		} else if (protocol == PROTOCOL_ICMPV6) {
			__be32 new_type;

			scratch->old.addresses[0] = scratch->six.ip.source;
			scratch->old.addresses[1] = scratch->six.ip.destination;
			scratch->old.length = bpf_htonl(length);
			scratch->old.next = bpf_htonl(PROTOCOL_ICMPV6);
			scratch->old.type = scratch->out.quoted.longs[0];
			scratch->out.quoted.bytes[0] = scratch->six.quoted.bytes[0] == 128 ? 8 : 0;
			new_type = scratch->out.quoted.longs[0];
			difference = bpf_csum_diff((__be32 *)&scratch->old, sizeof(scratch->old), &new_type, 4, 0);
			fix_quoted_sum(&scratch->out.quoted.words[1], difference, false);
		}
		set_ipv4(&scratch->out.quoted_ip, bpf_ntohl(scratch->six.ip.version_class_flow) >> 20, total, 0, total > 1260 ? 0x4000 : 0,
			 scratch->six.ip.hop_limit, key.protocol, small[0], small[1]);
		scratch->out.icmp.type = meaning.type;
		scratch->out.icmp.code = meaning.code;
		scratch->out.icmp.rest = meaning.rest;
		set_ipv4(&scratch->out.ip, p->tos, IPV4_LEN + ICMP_LEN + QUOTE_LEN, 0, 0, p->ttl, PROTOCOL_ICMP, source, nic->ipv4);
	}
	set_ethernet(&scratch->out.ethernet, nic, ETH_P_IP);
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0) || store_error(skb, &scratch->out))
		return drop(nic->slot, REASON_MALFORMED);
	return deliver(skb, nic);
}

/* TCP, UDP or ICMPv6 toward a NIC: step 4. */
static __noinline int judge_translated(struct __sk_buff *skb, const struct nic *nic, const struct node *node, const struct ipv6 *header)
{
	struct packet p = {.l3 = ETH_LEN, .l4 = ETH_LEN + IPV6_LEN};
	struct address six[2];
	__u64 now = bpf_ktime_get_coarse_ns();
	enum reason reason;
	__u8 next;

	if (!nic || !node || !header)
		return TC_ACT_SHOT;
	six[0] = header->source;
	six[1] = header->destination;
	p.source = six[0].ipv4;
	p.destination = six[1].ipv4;
	p.tos = bpf_ntohl(header->version_class_flow) >> 20;
	p.ttl = header->hop_limit;
	p.l4_length = bpf_ntohs(header->payload);
	next = header->next;
	if (six[1].function != FUNCTION_NIC)
		return drop(nic->slot, REASON_NO_SUCH_NIC);
	if (next == PROTOCOL_FRAGMENT) {
		struct fragment_header extension;
		__u16 offset;

		if (p.l4_length < FRAGMENT_LEN || bpf_skb_load_bytes(skb, p.l4, &extension, sizeof(extension)))
			return drop(nic->slot, REASON_MALFORMED);
		next = extension.next;
		offset = bpf_ntohs(extension.offset_more);
		p.offset = offset & 0xfff8;
		p.later = p.offset > 0;
		p.first = !p.later && offset & 1;
		p.id = bpf_htons(bpf_ntohl(extension.id) & 0xffff);
		p.fragment = bpf_htons(p.offset / 8 | (offset & 1 ? 0x2000 : 0));
		p.l4 += FRAGMENT_LEN;
		p.l4_length -= FRAGMENT_LEN;
		if (next != PROTOCOL_TCP && next != PROTOCOL_UDP && next != PROTOCOL_ICMPV6)
			return drop(nic->slot, REASON_EXTENSION_HEADER);
	}
	p.protocol = next == PROTOCOL_ICMPV6 ? PROTOCOL_ICMP : next;
	p.header_length = IPV4_LEN;
	p.total = IPV4_LEN + p.l4_length;
	reason = p.later ? find_fragment(&p, nic->number, WAY_TRANSLATED, now) : parse_l4(skb, &p, true);
	if (reason)
		return drop(nic->slot, reason);
	if (p.protocol == PROTOCOL_ICMP && !p.later && p.icmp_type != 128 && p.icmp_type != 129) {
		if (!p.error || p.first)
			return drop(nic->slot, REASON_UNSUPPORTED_PROTOCOL);
		return judge_error(skb, nic, node, &p, &six[0]);
	}
	if (!p.later) {
		struct flow_key key;
		struct flow *flow;

		set_flow_key(&key, &p, nic->number, true);
		flow = find_flow(&key, now);
		if (!flow || !(flow->flags & FLOW_VIA_KNOWN) || flow->via != bpf_ntohl(six[0].identity) ||
		    (six[0].function != FUNCTION_SERVICE && six[0].function != FUNCTION_PLATFORM))
			return drop(nic->slot, REASON_UNSOLICITED);
		refresh_flow(flow, &p, true, now);
		if (p.first)
			remember_fragment(&p, nic->number, WAY_TRANSLATED, now);
	}
	if (p.protocol == PROTOCOL_ICMP && (p.first || p.later))
		return drop(nic->slot, REASON_UNSUPPORTED_PROTOCOL);
	if (translate_to_4(skb, &p, six, nic))
		return drop(nic->slot, REASON_MALFORMED);
	return deliver(skb, nic);
}
