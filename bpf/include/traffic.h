/* What becomes of connections in MODE_KERNEL, which nodemesh otherwise sees nothing of. */
#pragma once

#include "maps.h"

static inline struct traffic *traffic_find(const struct origin *origin, const struct flow *flow)
{
	struct traffic_key key = {};
	struct traffic none = {};
	key.netns = origin->netns;
	key.dialled = origin->address;
	key.dialled_port = origin->port;
	key.backend = flow->destination;
	key.backend_port = flow->destination_port;
	return traffic.lookup_or_try_init(&key, &none);
}

static inline void traffic_opened(const struct origin *origin, const struct flow *flow)
{
	struct traffic *sum = traffic_find(origin, flow);
	if (sum)
		__sync_fetch_and_add(&sum->opened, 1);
}

static inline void traffic_closed(struct bpf_sock_ops *ctx, const struct origin *origin, const struct flow *flow, int failed)
{
	u64 sent = ctx->bytes_acked;
	u64 received = ctx->bytes_received;
	u64 rtt = ctx->srtt_us >> 3; /* the kernel keeps eighths */
	struct traffic *sum = traffic_find(origin, flow);
	if (!sum)
		return;
	if (failed) {
		__sync_fetch_and_add(&sum->failed, 1);
		return;
	}
	__sync_fetch_and_add(&sum->closed, 1);
	__sync_fetch_and_add(&sum->sent, sent);
	__sync_fetch_and_add(&sum->received, received);
	__sync_fetch_and_add(&sum->duration, bpf_ktime_get_ns() - origin->started);
	__sync_fetch_and_add(&sum->rtt, rtt);
}
