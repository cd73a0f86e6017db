/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Every packet that is judged is counted once, by NIC and reason. */
#pragma once

#include "packet.h"

INLINE void count(__u32 slot, __u32 reason)
{
	__u32 index = slot * REASONS + (reason & (REASONS - 1));
	__u64 *counter = bpf_map_lookup_elem(&counters, &index);

	if (counter)
		*counter += 1;
}

INLINE int drop(__u32 slot, __u32 reason)
{
	count(slot, reason);
	return TC_ACT_SHOT;
}

INLINE struct node *this_node(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nodes, &zero);
}
