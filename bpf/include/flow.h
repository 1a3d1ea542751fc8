/* Both ends of a socket, from its program's context. */
#pragma once

#include "addr.h"
#include "maps.h"

/* Contexts of sockops and sk_msg have these fields in common. Both families are read before either is chosen: out of two
 * branches clang merges the reads into one through a computed pointer, which the verifier refuses for contexts.
 * local_port is in host order; remote_port is in network order, in the word's upper half on little-endian hosts. */
#define FLOW_FILL(ctx, flow)                                                       \
	({                                                                         \
		u32 local4 = (ctx)->local_ip4;                                     \
		u32 remote4 = (ctx)->remote_ip4;                                   \
		for (int i = 0; i < 4; i++) {                                      \
			(flow)->source.words[i] = (ctx)->local_ip6[i];             \
			(flow)->destination.words[i] = (ctx)->remote_ip6[i];       \
		}                                                                  \
		if ((ctx)->family == AF_INET) {                                    \
			address_set4(&(flow)->source, local4);                     \
			address_set4(&(flow)->destination, remote4);               \
		}                                                                  \
		(flow)->source_port = NETWORK16((u16)(ctx)->local_port);           \
		(flow)->destination_port = NETWORK16((u16)NETWORK32((ctx)->remote_port)); \
	})

static inline void flow_of(struct bpf_sock_ops *ctx, struct flow *flow, u64 netns)
{
	FLOW_FILL(ctx, flow);
	flow->netns = netns;
}

static inline void flow_turn_round(struct flow *flow)
{
	struct address source = flow->source;
	u16 port = flow->source_port;
	flow->source = flow->destination;
	flow->source_port = flow->destination_port;
	flow->destination = source;
	flow->destination_port = port;
}
