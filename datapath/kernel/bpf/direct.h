/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* A gateway's judging of instances at their own addresses: docs/packet.md, "An instance's own address". */
#pragma once

#include "connection.h"
#include "fabric.h"

enum { LOOPBACK_IFINDEX = 1 };

/* A TCP segment between a caller and an instance, whichever way it runs. */
struct segment {
	struct connection_key key;
	__u32 l4, length, payload; /* length: of the header and the payload */
	__u32 sequence, acknowledgement;
	__u8 flags, header;
	__u8 function; /* of the address that the fabric's packets name; FUNCTION_SERVICE for the Internet's */
	__u8 six;
};

INLINE void map_ipv4(struct address *to, __be32 ipv4)
{
	*to = (struct address){.identity = bpf_htonl(0xffff), .ipv4 = ipv4};
}

/* Ports and flags. toward tells that the caller sent it. */
INLINE bool parse_segment(struct __sk_buff *skb, struct segment *s, bool toward)
{
	struct tcp tcp;

	if (s->length < sizeof(tcp) || load(skb, s->l4, &tcp, sizeof(tcp)))
		return false;
	s->header = (tcp.data_offset >> 4) * 4;
	if (s->header < sizeof(tcp) || s->header > s->length)
		return false;
	s->payload = s->length - s->header;
	s->key.caller_port = toward ? tcp.source : tcp.destination;
	s->key.server_port = toward ? tcp.destination : tcp.source;
	s->sequence = bpf_ntohl(tcp.sequence);
	s->acknowledgement = bpf_ntohl(tcp.acknowledgement);
	s->flags = tcp.flags;
	return true;
}

/* How a segment is taken: not ours, sound, or not. */
enum taken { TAKEN, TAKEN_NOT_OURS, TAKEN_MALFORMED };

/* A segment of the fabric's: its instance's side has one of the gateway's anycast locators. Of what leaves, that may be a
 * backend elsewhere, too. */
INLINE enum taken take_6(struct __sk_buff *skb, const struct node *node, struct segment *s, bool toward)
{
	const struct address *server;
	struct ipv6 header;
	__u32 payload;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->len < ETH_LEN + IPV6_LEN || load(skb, ETH_LEN, &header, sizeof(header)) ||
	    bpf_ntohl(header.version_class_flow) >> 28 != 6 || header.next != PROTOCOL_TCP)
		return TAKEN_NOT_OURS;
	server = toward ? &header.destination : &header.source;
	s->function = server->function;
	if (!(same(node->service.bytes, server->locator, 7) && server->function == FUNCTION_SERVICE) &&
	    !(same(node->platform.bytes, server->locator, 7) && server->function == FUNCTION_PLATFORM)) {
		if (toward)
			return TAKEN_NOT_OURS;
		s->function = FUNCTION_NIC;
	}
	payload = bpf_ntohs(header.payload);
	if (payload > skb->len - ETH_LEN - IPV6_LEN)
		return TAKEN_MALFORMED;
	if (skb->len > ETH_LEN + IPV6_LEN + payload && bpf_skb_change_tail(skb, ETH_LEN + IPV6_LEN + payload, 0))
		return TAKEN_MALFORMED;
	s->six = 1;
	s->l4 = ETH_LEN + IPV6_LEN;
	s->length = payload;
	s->key.caller = toward ? header.source : header.destination;
	s->key.server = *server;
	return parse_segment(skb, s, toward) ? TAKEN : TAKEN_MALFORMED;
}

/* A segment of the Internet's, of one of the plan's addresses. Fragments go to the host's own stack: no connection comes
 * of them, for its answers find none here. */
INLINE enum taken take_4(struct __sk_buff *skb, struct segment *s, bool toward)
{
	struct packet p = {.l3 = ETH_LEN};
	struct vip_key address = {};

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->len < ETH_LEN || parse_ipv4(skb, &p, skb->len - ETH_LEN) ||
	    p.protocol != PROTOCOL_TCP || p.first || p.later)
		return TAKEN_NOT_OURS;
	address.ipv4 = toward ? p.destination : p.source;
	if (!bpf_map_lookup_elem(&vips, &address))
		return TAKEN_NOT_OURS;
	if (skb->len > ETH_LEN + p.total && bpf_skb_change_tail(skb, ETH_LEN + p.total, 0))
		return TAKEN_MALFORMED;
	s->function = FUNCTION_SERVICE;
	s->l4 = p.l4;
	s->length = p.l4_length;
	map_ipv4(&s->key.caller, toward ? p.source : p.destination);
	map_ipv4(&s->key.server, address.ipv4);
	return parse_segment(skb, s, toward) ? TAKEN : TAKEN_MALFORMED;
}

/* Whether sockets of the gateway answer on the port. */
INLINE bool is_served(const struct segment *s)
{
	__u32 port = bpf_ntohs(s->key.server_port) | (__u32)s->function << 16;

	return bpf_map_lookup_elem(&served, &port);
}

INLINE struct vip *vip_of(const struct connection_key *key)
{
	struct vip_key at = {.ipv4 = key->server.ipv4, .port = key->server_port};

	return bpf_map_lookup_elem(&vips, &at);
}

/* The packet becomes a reset to who sent it: 20 bytes of TCP behind an IP header without options. */
static __noinline long become_reset(struct __sk_buff *skb, const struct segment *s)
{
	struct {
		struct address source, destination;
		__be32 length, next;
	} pseudo = {};
	struct {
		__u16 align;
		struct ethernet ethernet;
		struct ipv6 ip;
		struct tcp tcp;
	} six = {};
	struct {
		__u16 align;
		struct ethernet ethernet;
		struct ipv4 ip;
		struct tcp tcp;
	} four = {};
	struct ethernet arrived;
	struct tcp tcp = {}, was;

	if (!s || bpf_skb_load_bytes(skb, 0, &arrived, sizeof(arrived)) || bpf_skb_load_bytes(skb, s->l4, &was, sizeof(was)))
		return -1;
	tcp.source = was.destination;
	tcp.destination = was.source;
	tcp.data_offset = 5 << 4;
	if (s->flags & TCP_ACK) {
		tcp.flags = TCP_RST;
		tcp.sequence = bpf_htonl(s->acknowledgement);
	} else {
		tcp.flags = TCP_RST | TCP_ACK;
		tcp.acknowledgement = bpf_htonl(s->sequence + s->payload + (s->flags & TCP_SYN ? 1 : 0) + (s->flags & TCP_FIN ? 1 : 0));
	}
	if (s->six) {
		struct ipv6 header;

		if (bpf_skb_load_bytes(skb, ETH_LEN, &header, sizeof(header)))
			return -1;
		pseudo.source = header.destination;
		pseudo.destination = header.source;
		pseudo.length = bpf_htonl(sizeof(tcp));
		pseudo.next = bpf_htonl(PROTOCOL_TCP);
		tcp.checksum = fold(sum(&pseudo, sizeof(pseudo), sum(&tcp, sizeof(tcp), 0)));
		__builtin_memcpy(six.ethernet.destination, arrived.source, 6);
		__builtin_memcpy(six.ethernet.source, arrived.destination, 6);
		six.ethernet.type = arrived.type;
		set_ipv6(&six.ip, 0, sizeof(tcp), PROTOCOL_TCP, 64, &header.destination, &header.source);
		six.tcp = tcp;
		if (bpf_skb_change_tail(skb, ETH_LEN + IPV6_LEN + sizeof(tcp), 0))
			return -1;
		return bpf_skb_store_bytes(skb, 0, &six.ethernet, ETH_LEN + IPV6_LEN + sizeof(tcp), 0);
	}
	struct ipv4 header;

	if (bpf_skb_load_bytes(skb, ETH_LEN, &header, sizeof(header)))
		return -1;
	struct {
		__be32 source, destination, protocol_length;
	} pseudo_4 = {header.destination, header.source, bpf_htonl(PROTOCOL_TCP << 16 | sizeof(tcp))};

	tcp.checksum = fold(sum(&pseudo_4, sizeof(pseudo_4), sum(&tcp, sizeof(tcp), 0)));
	__builtin_memcpy(four.ethernet.destination, arrived.source, 6);
	__builtin_memcpy(four.ethernet.source, arrived.destination, 6);
	four.ethernet.type = arrived.type;
	set_ipv4(&four.ip, 0, IPV4_LEN + sizeof(tcp), 0, 0x4000, 64, PROTOCOL_TCP, header.destination, header.source);
	four.tcp = tcp;
	if (bpf_skb_change_tail(skb, ETH_LEN + IPV4_LEN + sizeof(tcp), 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, &four.ethernet, ETH_LEN + IPV4_LEN + sizeof(tcp), 0);
}

/* Refuses a caller's segment with a reset, which leaves where the segment came in. A reset is never answered. */
INLINE int refuse(struct __sk_buff *skb, const struct segment *s, __u32 reason)
{
	if (s->flags & TCP_RST || become_reset(skb, s))
		return drop(0, reason);
	count(0, reason);
	return bpf_redirect(skb->ifindex, 0);
}

/* Ends a server's side of a connection that may not be: the reset goes to this host's own stack. To a server elsewhere the
 * driver has sent one. */
INLINE int refuse_server(struct __sk_buff *skb, const struct segment *s, __u32 reason)
{
	const __u8 zero[12] = {};

	if (s->flags & TCP_RST || s->function == FUNCTION_NIC || become_reset(skb, s) || bpf_skb_store_bytes(skb, 0, zero, 12, 0))
		return drop(0, reason);
	count(0, reason);
	return bpf_redirect(LOOPBACK_IFINDEX, BPF_F_INGRESS);
}

/* One side of the segment takes another address and port. at is the offset of the address. */
INLINE long rewrite_side(struct __sk_buff *skb, const struct segment *s, __u32 at, const struct address *from, __be16 from_port,
			 const struct address *to, __be16 to_port, bool source)
{
	__u32 checksum = s->l4 + offsetof(struct tcp, checksum);

	if (from_port != to_port &&
	    (bpf_l4_csum_replace(skb, checksum, from_port, to_port, 2) ||
	     bpf_skb_store_bytes(skb, s->l4 + (source ? 0 : 2), &to_port, 2, 0)))
		return -1;
	if (!s->six || same(from, to, sizeof(*to)))
		return 0;
	if (bpf_l4_csum_replace(skb, checksum, 0, bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0),
				BPF_F_PSEUDO_HDR | ipv6_checksum_flag))
		return -1;
	return bpf_skb_store_bytes(skb, at, to, sizeof(*to), 0);
}

/* What the connection remembers of a segment, and the event at its end. */
INLINE void note(struct connection *c, const struct connection_key *key, const struct segment *s, bool toward, __u64 now)
{
	__u32 end = s->sequence + s->payload + (s->flags & TCP_SYN ? 1 : 0) + (s->flags & TCP_FIN ? 1 : 0);
	__u32 *next = toward ? &c->caller_next : &c->server_next;
	__u32 flags = c->flags;

	/* Only a reset that the other end takes ends the connection (RFC 5961). */
	if (s->flags & TCP_RST && s->sequence == *next)
		flags |= CONNECTION_RST;
	c->last_seen = now;
	if (s->flags & TCP_SYN || (__s32)(end - *next) > 0)
		*next = end;
	if (toward)
		c->received += s->payload;
	else
		c->sent += s->payload;
	if (s->flags & TCP_FIN && end == *next)
		flags |= toward ? CONNECTION_FIN_CALLER : CONNECTION_FIN_SERVER;
	if (toward && s->flags & TCP_ACK)
		flags |= CONNECTION_ANSWERED;
	if (flags == c->flags)
		return;
	c->flags = flags;
	if (over(c) && !(flags & CONNECTION_TOLD)) {
		c->flags |= CONNECTION_TOLD;
		tell(key, c, REASON_OWN_ADDRESS);
	}
}

/* Whether a known connection may still be. A plan newer than the one that admitted it is asked once. */
INLINE bool still_admitted(struct connection *c, const struct connection_key *key, const struct vip *vip, __u32 generation)
{
	if (c->flags & CONNECTION_REVOKED)
		return false;
	if (c->generation == generation)
		return true;
	if (!vip || !admits(vip, key))
		return false;
	c->generation = generation;
	return true;
}

/* What a caller sends. */
INLINE int judge_caller(struct __sk_buff *skb, const struct node *node, struct segment *s)
{
	__u32 generation = *(volatile __u32 *)&node->generation; /* before what it says is read */
	__u64 now = bpf_ktime_get_ns();
	struct connection *c;
	struct vip *vip;
	long reason;

	if (!generation)
		return drop(0, REASON_UNSYNCED);
	vip = s->function == FUNCTION_SERVICE ? vip_of(&s->key) : NULL;
	if (!vip)
		return is_served(s) ? TC_ACT_UNSPEC : refuse(skb, s, REASON_PORT_CLOSED);
	c = bpf_map_lookup_elem(&connections, &s->key);
	if (c && (s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && over(c)) {
		forget(&s->key, c);
		c = NULL;
	}
	if (c) {
		if (!still_admitted(c, &s->key, vip, generation))
			return refuse(skb, s, REASON_REVOKED);
		note(c, &s->key, s, true, now);
	} else {
		struct connection fresh = {.opened = now, .last_seen = now, .generation = generation};

		if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
			return refuse(skb, s, REASON_NO_CONNECTION);
		reason = !admits(vip, &s->key)		   ? REASON_NETWORK_RULES
			 : !choose(vip, &s->key, &fresh)   ? REASON_NO_BACKEND
							   : REASON_NONE;
		if (!reason) {
			note(&fresh, &s->key, s, true, now);
			reason = enter(&s->key, &fresh);
		}
		if (reason) {
			tell(&s->key, &fresh, reason);
			return refuse(skb, s, reason);
		}
		c = bpf_map_lookup_elem(&connections, &s->key);
		if (!c)
			return drop(0, REASON_NO_CONNECTION);
	}
	struct connection_key side;

	set_server_side(&side, &s->key, c);
	if (rewrite_side(skb, s, ETH_LEN + offsetof(struct ipv6, destination), &s->key.server, s->key.server_port, &side.server,
			 side.server_port, false))
		return drop(0, REASON_MALFORMED);
	count(0, REASON_OWN_ADDRESS);
	return TC_ACT_OK;
}

/* What leaves toward a caller, of a backend or of any of this host's servers. */
INLINE int judge_server(struct __sk_buff *skb, const struct node *node, struct segment *s)
{
	__u32 generation = *(volatile __u32 *)&node->generation;
	struct connection_key key = s->key;
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c) {
		struct dialled *dialled = bpf_map_lookup_elem(&server_sides, &key);

		if (dialled) {
			key.server = dialled->server;
			key.server_port = dialled->port;
			c = bpf_map_lookup_elem(&connections, &key);
		}
	}
	if (!c) {
		if (s->function == FUNCTION_NIC || s->flags & TCP_RST || is_served(s))
			return TC_ACT_UNSPEC;
		return drop(0, REASON_NO_CONNECTION);
	}
	if (!still_admitted(c, &key, vip_of(&key), generation)) {
		if (s->flags & TCP_RST && s->key.server_port == key.server_port)
			return TC_ACT_UNSPEC; /* this very program's, or the driver's */
		return refuse_server(skb, s, REASON_REVOKED);
	}
	note(c, &key, s, false, bpf_ktime_get_ns());
	if (rewrite_side(skb, s, ETH_LEN + offsetof(struct ipv6, source), &s->key.server, s->key.server_port, &key.server,
			 key.server_port, true))
		return drop(0, REASON_MALFORMED);
	count(0, REASON_OWN_ADDRESS);
	return TC_ACT_OK;
}
