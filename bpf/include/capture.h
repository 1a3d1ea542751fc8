/* Whether a pod's connection is the mesh's at all: Istio's annotations that include and exclude networks and ports. */
#pragma once

#include "liveness.h"
#include "maps.h"

static inline u32 range_find(u32 set, u16 port, const struct target *dialled)
{
	struct range_key key = {};
	u32 *found;
	key.prefix_length = 64 + 128;
	key.set = set;
	key.port = port;
	key.address = dialled->address;
	found = ranges.lookup(&key);
	return found ? *found : RANGE_NONE;
}

/* In Istio's order: what is left out, first by port, goes before what is taken in. Pods without a set, which most are,
 * have everything taken. */
static inline int captured(u64 netns, const struct target *dialled)
{
	u32 *set = captures.lookup(&netns);
	u32 by_port, by_address;
	if (!set)
		return 1;
	by_port = range_find(*set, dialled->port, dialled);
	by_address = range_find(*set, 0, dialled);
	if (by_port == RANGE_EXCLUDED || by_address == RANGE_EXCLUDED)
		return 0;
	return by_port == RANGE_INCLUDED || by_address == RANGE_INCLUDED;
}
