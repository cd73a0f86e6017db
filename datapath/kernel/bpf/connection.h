/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Instances that are judged at their own address, and the connections to them: docs/packet.md, "An instance's own
 * address". Addresses and ports stand in network byte order; an IPv4 address stands as ::ffff:a.b.c.d. */
#pragma once

#include "count.h"
#include "header.h"

enum {
	MAX_CONNECTIONS = 262144,
	MAX_DIRECT = 16384, /* address and port pairs, and addresses */
	MAX_BACKENDS = 8,
};

enum connection_flag {
	CONNECTION_FIN_CALLER = 1,
	CONNECTION_FIN_SERVER = 2,
	CONNECTION_RST = 4,
	CONNECTION_REVOKED = 8,
	CONNECTION_TOLD = 16, /* its event was sent */
	CONNECTION_ANSWERED = 32, /* the caller has acknowledged something: it is where it says it is */
};

/* Port 0 stands for the address itself, which is one of the plan's. */
struct vip_key {
	__be32 ipv4;
	__be16 port;
	__u16 pad;
};

struct backend {
	struct address address; /* zero: this host, at the address that was dialled */
	__be16 port;
	__u16 through; /* sum of the weights up to this one's, host order */
};

/* An instance's port. callers is the ref of who may. */
struct vip {
	__u64 callers;
	__u32 service; /* identity that the fabric's packets for it must name */
	__u32 backends;
	__u32 instance; /* number within the plan, for events */
	__u32 pad;
	struct backend backend[MAX_BACKENDS];
};

/* Both ends of a connection as a packet shows them: the server's is the address that was dialled, or the backend's. */
struct connection_key {
	struct address caller, server;
	__be16 caller_port, server_port;
};

struct connection {
	__u64 opened, last_seen; /* monotonic nanoseconds */
	__u64 received, sent;	 /* bytes of payload from the caller, and from the backend */
	__u32 caller_next, server_next; /* the sequence numbers behind the last bytes seen, host order */
	__u32 generation;	 /* of the plan that admitted it */
	__u32 flags;
	struct address backend; /* as in struct backend */
	__be16 backend_port;
	__u16 pad;
	__u32 pad2;
};

/* What was dialled, for packets that show the backend's side. */
struct dialled {
	struct address server;
	__be16 port;
	__u16 pad;
};

/* What user space is told: a connection ended, or was not let in. */
struct event {
	struct connection_key key; /* as it was dialled */
	__u32 reason;
	struct connection connection;
};

const struct event *described_event __attribute__((unused)); /* for the object's BTF: no map has it */

HASH(vips, MAX_DIRECT, struct vip_key, struct vip);
HASH(served, 4096, __u32, __u8);	      /* port, host order, with the function above it: sockets answer there */
HASH(callers, 1 << 20, struct item_key, __u8); /* ref and subnet */
TRIE(origins, 1 << 20, __u8);		      /* ref and IPv4 prefix: 1 may, 0 may not */
HASH(connections, MAX_CONNECTIONS, struct connection_key, struct connection);
HASH(server_sides, MAX_CONNECTIONS, struct connection_key, struct dialled);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

/* 0: events that there was no room for; 1: how many of those user space has told of. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events_lost SEC(".maps");

static __noinline long tell(const struct connection_key *key, const struct connection *connection, __u32 reason)
{
	struct event *event;
	__u32 zero = 0;
	__u64 *lost;

	if (!key || !connection)
		return -1;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		lost = bpf_map_lookup_elem(&events_lost, &zero);
		if (lost)
			*lost += 1;
		return -1;
	}
	event->key = *key;
	event->reason = reason;
	event->connection = *connection;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

INLINE bool over(const struct connection *c)
{
	const __u32 both = CONNECTION_FIN_CALLER | CONNECTION_FIN_SERVER;

	return (c->flags & both) == both || c->flags & (CONNECTION_RST | CONNECTION_REVOKED);
}

/* Whether the IPv4 address can be one host's. */
INLINE bool unicast(__be32 address)
{
	return !unusable(address) && bpf_ntohl(address) >> 16 != 0xa9fe;
}

INLINE bool is_nobody(const struct address *a)
{
	const __u32 *words = (const __u32 *)a;

	return (words[0] | words[1] | words[2] | words[3]) == 0;
}

INLINE bool is_mapped(const struct address *a)
{
	const __u32 *words = (const __u32 *)a;

	return (words[0] | words[1]) == 0 && a->identity == bpf_htonl(0xffff);
}

/* Whether the instance lets the caller in: by its subnet from the fabric, by its address from the Internet. */
INLINE bool admits(const struct vip *vip, const struct connection_key *key)
{
	if (is_mapped(&key->server)) {
		struct prefix_key prefix = {.bits = 64 + 32, .ref = {vip->callers, vip->callers >> 32}, .address = key->caller.ipv4};
		__u8 *may = bpf_map_lookup_elem(&origins, &prefix);

		return may && *may;
	}
	struct item_key item = {.ref = vip->callers, .index = bpf_ntohl(key->caller.identity)};

	return key->caller.function == FUNCTION_NIC && unicast(key->caller.ipv4) && vip->service == bpf_ntohl(key->server.identity) &&
	       bpf_map_lookup_elem(&callers, &item);
}

INLINE void set_server_side(struct connection_key *to, const struct connection_key *key, const struct connection *c)
{
	*to = *key;
	to->server_port = c->backend_port;
	if (!is_nobody(&c->backend))
		to->server = c->backend;
}

INLINE bool one_sided(const struct connection_key *key, const struct connection *c)
{
	return c->backend_port == key->server_port && is_nobody(&c->backend);
}

INLINE void forget(const struct connection_key *key, const struct connection *c)
{
	struct connection_key side;

	if (!one_sided(key, c)) {
		set_server_side(&side, key, c);
		bpf_map_delete_elem(&server_sides, &side);
	}
	bpf_map_delete_elem(&connections, key);
}

/* The same number for the same connection, in both data paths: its end chooses the backend. */
INLINE __u32 hash_of(const struct connection_key *key)
{
	const __be32 *words = (const __be32 *)key;
	__u32 hash = 2166136261u;

#pragma unroll
	for (int i = 0; i < 9; i++)
		hash = (hash ^ bpf_ntohl(words[i])) * 16777619u;
	hash ^= hash >> 16;
	hash *= 0x85ebca6bu;
	return hash ^ hash >> 13;
}

/* Chooses a backend by weight. Answers false where there is none: one elsewhere is none for callers of the Internet, whose
 * packets are IPv4. */
INLINE bool choose(const struct vip *vip, const struct connection_key *key, struct connection *c)
{
	__u32 count = vip->backends, point;

	if (count == 0 || count > MAX_BACKENDS)
		return false;
	point = (__u64)hash_of(key) * vip->backend[(count - 1) & (MAX_BACKENDS - 1)].through >> 32;
#pragma unroll
	for (int i = 0; i < MAX_BACKENDS; i++) {
		if (i < count && point < vip->backend[i].through) {
			c->backend = vip->backend[i].address;
			c->backend_port = vip->backend[i].port;
			return is_nobody(&c->backend) || !is_mapped(&key->server);
		}
	}
	return false;
}

/* Enters a new connection. What is known already under either of its sides stays. */
static __noinline long enter(const struct connection_key *key, const struct connection *c)
{
	struct dialled dialled = {};
	struct connection_key side;
	long failed;

	if (!key || !c)
		return REASON_CONNECTIONS_FULL;
	if (bpf_map_lookup_elem(&server_sides, key))
		return REASON_PORT_TAKEN;
	if (!one_sided(key, c)) {
		set_server_side(&side, key, c);
		dialled.server = key->server;
		dialled.port = key->server_port;
		if (bpf_map_lookup_elem(&connections, &side) || bpf_map_lookup_elem(&server_sides, &side))
			return REASON_PORT_TAKEN;
		if (bpf_map_update_elem(&server_sides, &side, &dialled, BPF_NOEXIST))
			return REASON_CONNECTIONS_FULL;
	}
	failed = bpf_map_update_elem(&connections, key, c, BPF_NOEXIST);
	if (!failed)
		return REASON_NONE;
	if (!one_sided(key, c))
		bpf_map_delete_elem(&server_sides, &side);
	return REASON_CONNECTIONS_FULL;
}
