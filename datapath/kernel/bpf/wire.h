/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The layout of a fabric address, drawn in postern/wire. All parts stand in network byte order.
 *
 *      0        55 56    63 64            95 96           127
 *     +-----------+--------+----------------+---------------+
 *     |  locator  |  fn    |   identity     |  IPv4 address |
 *     +-----------+--------+----------------+---------------+
 */
#pragma once

#include <linux/types.h>

enum function {
	FUNCTION_NIC = 0,
	FUNCTION_APPLIANCE = 1,
	FUNCTION_SERVICE = 2,
	FUNCTION_PRIVATE_LINK = 3,
	FUNCTION_PLATFORM = 4,
	FUNCTION_INTERNET_EGRESS = 5,
	FUNCTION_REGIONAL_EGRESS = 6,
	FUNCTION_NAT_EGRESS = 7,
};

enum { IDENTITY_NONE = 0, IDENTITY_PLATFORM = 1 };

/* A locator with room for the function behind it: 7 bytes and a zero. */
struct locator {
	__u8 bytes[8];
};

struct address {
	__u8 locator[7];
	__u8 function;
	__be32 identity;
	__be32 ipv4;
};

_Static_assert(sizeof(struct address) == 16, "an address has 128 bits");
_Static_assert(__builtin_offsetof(struct address, function) == 7, "function is byte 7");
_Static_assert(__builtin_offsetof(struct address, identity) == 8, "identity begins at byte 8");
_Static_assert(__builtin_offsetof(struct address, ipv4) == 12, "the IPv4 address is the last 4 bytes");
