/* Socket events: cgroup/sock_ops. Before the SYN leaves, the dialled address is written where the proxy will look for it
 * after accept; a connection that never comes about takes its record away again. */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/maps.h"

static inline void flow_of(struct bpf_sock_ops *ctx, struct flow *flow, u64 netns)
{
	/* Both families are read before either is chosen: out of two branches clang merges the reads into one through a
	 * computed pointer, which the verifier refuses for contexts. */
	u32 local4 = ctx->local_ip4;
	u32 remote4 = ctx->remote_ip4;
	for (int i = 0; i < 4; i++) {
		flow->source.words[i] = ctx->local_ip6[i];
		flow->destination.words[i] = ctx->remote_ip6[i];
	}
	if (ctx->family == AF_INET) {
		address_set4(&flow->source, local4);
		address_set4(&flow->destination, remote4);
	}
	flow->netns = netns;
	/* local_port is in host order; remote_port is in network order, in the word's upper half on little-endian hosts. */
	flow->source_port = NETWORK16((u16)ctx->local_port);
	flow->destination_port = NETWORK16((u16)NETWORK32(ctx->remote_port));
}

int nodemesh_sockops(struct bpf_sock_ops *ctx)
{
	u32 op = ctx->op;
	struct flow flow = {};
	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	/* ACTIVE_ESTABLISHED would be too late: with TCP Fast Open the proxy may have accepted by then. */
	if (op == BPF_SOCK_OPS_STATE_CB && !(ctx->args[0] == BPF_TCP_SYN_SENT && ctx->args[1] == BPF_TCP_CLOSE))
		return 1;
	u64 cookie = socket_cookie(ctx);
	struct origin *found = origins.lookup(&cookie);
	if (!found || found->mode != MODE_PROXY)
		return 1;
	struct origin origin = *found;
	flow_of(ctx, &flow, origin.netns);
	if (op == BPF_SOCK_OPS_STATE_CB) {
		if (flows.delete(&flow) == 0)
			count(HOOK_SOCKOPS, REASON_ORIGIN_DROPPED);
		return 1;
	}
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
	count(HOOK_SOCKOPS, flows.update(&flow, &origin) == 0 ? REASON_ORIGIN_RECORDED : REASON_MAP_FULL);
	return 1;
}
