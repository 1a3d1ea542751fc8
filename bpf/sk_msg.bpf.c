/* What a socket in `sockets` sends: sk_msg. It goes into the other end's queue without TCP wherever that keeps the order
 * of bytes and bounds the queue; by TCP otherwise. The rules differ, since the app knows nothing of this and the proxy
 * does: it reads whatever comes in whichever way, and asks queue_depth before it writes for the first time, and then
 * before it writes much. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/fields.h"
#include "include/flow.h"

/* Bytes in the proxy's queue beyond which an app's go by TCP, whose window then slows the app down. */
#define TO_PROXY_LIMIT (256 * 1024)

static inline enum reason why_not_to_proxy(const struct pair *pair, u64 me, u32 size)
{
	u64 psock;
	if (!pair->begun || !pair->proxy)
		return REASON_TCP_UNVERIFIED;
	if (has_ulp(me))
		return REASON_TCP_ULP;
	if (!tcp_is_read(me, pair->proxy))
		return REASON_TCP_UNREAD;
	psock = psock_of(pair->proxy);
	if (!psock)
		return REASON_TCP_NO_PEER;
	return queued(psock) + size > TO_PROXY_LIMIT ? REASON_TCP_QUEUE_FULL : REASON_NONE;
}

/* An app gets all that it is ever sent in the one way or in the other: it may take a short read for the end of what is
 * there, or ask by FIONREAD, which knows of one way only. So nothing here bounds its queue. */
static inline enum reason why_not_to_app(struct pair *pair, u64 me)
{
	pair->proxy = me;
	if (!pair->begun)
		return REASON_TCP_UNVERIFIED;
	return has_ulp(pair->app) ? REASON_TCP_ULP : REASON_NONE;
}

int nodemesh_sk_msg(struct sk_msg_md *ctx)
{
	struct flow flow = {};
	struct pair *pair;
	enum reason reason;
	int from_app = 1;
	u64 me = sock_of(ctx->sk);
	if (!me)
		return SK_PASS;
	FLOW_FILL(ctx, &flow);
	flow.netns = bpf_get_netns_cookie(ctx);
	pair = pairs.lookup(&flow); /* named as the app's end has it */
	if (!pair) {
		from_app = 0;
		flow_turn_round(&flow);
		pair = pairs.lookup(&flow);
	}
	if (!pair)
		return SK_PASS;
	reason = from_app ? why_not_to_proxy(pair, me, ctx->size) : why_not_to_app(pair, me);
	if (reason == REASON_NONE) {
		flow.end = from_app ? END_PROXY : END_APP;
		int verdict = sockets.msg_redirect_hash(ctx, &flow, BPF_F_INGRESS); /* BCC ends the statement here */
		reason = verdict == SK_PASS ? REASON_SOCKMAP_REDIRECTED : REASON_TCP_NO_PEER;
	}
	count(HOOK_SK_MSG, reason);
	/* Even where redirecting failed: the helper's own verdict would lose the bytes, and SK_DROP would stay with the socket
	 * for good. */
	return SK_PASS;
}
