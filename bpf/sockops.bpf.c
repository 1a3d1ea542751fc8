/* Socket events: cgroup/sock_ops. Before the SYN leaves, the dialled address is written where the proxy will look for it
 * after accept; a connection that never comes about takes its record away again. Connections that were balanced in the
 * kernel are counted from here, from their SYN to their end. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/flow.h"
#include "include/maps.h"
#include "include/origin.h"
#include "include/traffic.h"

/* The SYN is about to leave. ACTIVE_ESTABLISHED would be too late: with TCP Fast Open the proxy may have accepted then. */
static inline void begin(struct bpf_sock_ops *ctx, struct origin *found)
{
	struct flow flow = {};
	origin_begin(ctx->sk, found, NETWORK16((u16)ctx->local_port));
	struct origin origin = *found;
	flow_of(ctx, &flow, origin.netns);
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
	if (origin.mode == MODE_KERNEL)
		traffic_opened(&origin, &flow);
	else
		count(HOOK_SOCKOPS, flows.update(&flow, &origin) == 0 ? REASON_ORIGIN_RECORDED : REASON_MAP_FULL);
}

/* TCP is done with the connection, which need not be when the app closed it. A record that the proxy has not taken goes
 * with a connection that was refused or reset by the other side: nobody will serve that. After the app's own close it
 * stays, since the proxy may yet accept what was sent before. */
static inline void end(struct bpf_sock_ops *ctx, struct origin *found, u32 from)
{
	struct flow flow = {};
	struct origin origin = *found;
	flow_of(ctx, &flow, origin.netns);
	if (origin.mode == MODE_KERNEL) {
		traffic_closed(ctx, &origin, &flow, from == BPF_TCP_SYN_SENT);
	} else if (origin.mode == MODE_PROXY && (from == BPF_TCP_SYN_SENT || from == BPF_TCP_ESTABLISHED) &&
		   flows.delete(&flow) == 0) {
		count(HOOK_SOCKOPS, REASON_ORIGIN_DROPPED);
	}
}

int nodemesh_sockops(struct bpf_sock_ops *ctx)
{
	u32 op = ctx->op;
	u32 from = ctx->args[0];
	u32 to = ctx->args[1];
	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && !(op == BPF_SOCK_OPS_STATE_CB && to == BPF_TCP_CLOSE))
		return 1;
	struct origin *found = origin_of(ctx->sk);
	if (!found)
		return 1;
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		begin(ctx, found);
	else
		end(ctx, found, from);
	return 1;
}
