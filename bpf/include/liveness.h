/* Whether what is redirected would be served. */
#pragma once

#include "addr.h"
#include "maps.h"
#include "reasons.h"

/* The dialled address on the way in, the address to dial on the way out. */
struct target {
	struct address address;
	u16 port;
};

/* A listener leaves the sockhash by itself when its last descriptor is closed: that is known at once, without waiting for
 * the heartbeat to grow old. */
static inline int listener_present(u64 netns, int v4)
{
	struct listener_key key = {};
	key.netns = netns;
	key.family = v4 ? AF_INET : AF_INET6;
	void *listener = listeners.lookup(&key);
	if (!listener)
		return 0;
	bpf_sk_release(listener);
	return 1;
}

/* One worker that beats is enough: all of them accept from the same listeners. */
static inline int heartbeat_fresh(const struct settings *current)
{
	u64 now = bpf_ktime_get_ns();
	for (u32 slot = 0; slot < HEARTBEATS; slot++) {
		if (slot >= current->workers)
			break;
		u32 index = slot;
		u64 *beat = heartbeats.lookup(&index);
		/* Zero: stopped, which is no time, however short the kernel has been up. Beaten after `now` was read: fresh as
		 * well, not some centuries old. */
		if (beat && *beat && (*beat >= now || now - *beat < current->heartbeat_limit))
			return 1;
	}
	return 0;
}

/* REASON_NONE where it would. */
static inline enum reason why_not_served(const struct settings *current, u64 netns, int v4)
{
	if (!listener_present(netns, v4))
		return REASON_PASS_NO_LISTENER;
	if (!heartbeat_fresh(current))
		return REASON_PASS_HEARTBEAT_LATE;
	return REASON_NONE;
}
