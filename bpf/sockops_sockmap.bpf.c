/* Socket events of pods with sockmap: a second program at cgroup/sock_ops. Takes an app's socket into `sockets` when its
 * redirected connection stands, and out again if the app waits in recv(): a blocked reader is woken by TCP alone. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/fields.h"
#include "include/flow.h"
#include "include/maps.h"

static inline void join(struct bpf_sock_ops *ctx, struct flow *flow)
{
	struct pod *pod = pods.lookup(&flow->netns);
	struct pair pair = {};
	pair.app = sock_of(ctx->sk);
	if (!pair.app || !pod || !(pod->flags & POD_SOCKMAP))
		return;
	struct origin *origin = flows.lookup(flow);
	if (!origin)
		return;
	if (!nonblocking(pair.app)) {
		count(HOOK_SOCKOPS_SOCKMAP, REASON_TCP_BLOCKING);
		return;
	}
	/* In this order: whoever finds a pair without its socket knows that it is over. */
	int failed = sockets.sock_hash_update(ctx, flow, BPF_ANY); /* BCC ends the statement here */
	if (failed) {
		count(HOOK_SOCKOPS_SOCKMAP, REASON_MAP_FULL);
		return;
	}
	if (pairs.update(flow, &pair) != 0) {
		sockets.delete(flow);
		count(HOOK_SOCKOPS_SOCKMAP, REASON_MAP_FULL);
		return;
	}
	origin->joined = 1;
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG);
	count(HOOK_SOCKOPS_SOCKMAP, REASON_SOCKMAP_JOINED);
}

/* The first request has arrived, by TCP. Many libraries connect without blocking and block from then on; one that has sent
 * its request shows how it will read. Nothing was queued for it yet, so leaving loses nothing. */
static inline void verify(struct bpf_sock_ops *ctx, struct flow *flow)
{
	struct pair *pair = pairs.lookup(flow);
	u64 app = sock_of(ctx->sk);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
	if (!pair || !app || pair->refused)
		return;
	if (nonblocking(app)) {
		pair->verified = 1;
		count(HOOK_SOCKOPS_SOCKMAP, REASON_SOCKMAP_VERIFIED);
		return;
	}
	pair->refused = 1;
	sockets.delete(flow);
	count(HOOK_SOCKOPS_SOCKMAP, REASON_TCP_BLOCKING);
}

int nodemesh_sockops_sockmap(struct bpf_sock_ops *ctx)
{
	struct flow flow = {};
	u32 op = ctx->op;
	u32 to = ctx->args[1];
	if (op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_RTT_CB &&
	    !(op == BPF_SOCK_OPS_STATE_CB && to == BPF_TCP_CLOSE))
		return 1;
	flow_of(ctx, &flow, bpf_get_netns_cookie(ctx));
	if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		join(ctx, &flow);
	else if (op == BPF_SOCK_OPS_RTT_CB)
		verify(ctx, &flow);
	else
		pairs.delete(&flow);
	return 1;
}
