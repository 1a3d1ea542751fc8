/* A SYN arrives in a pod's namespace: sk_lookup. Redirected connections go to the pod's listener, whatever their port: it
 * needs none that an app could take, or see. They are those that `flows` has; all else is the pod's own affair.
 *
 * The hook knows no namespace: each pod has its own copy, with its cookie in the place of NETNS
 * (agent/nodemesh/datapath/steering.py). */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/maps.h"

#define NETNS 0x6d2d656d65646f6eULL

/* Longer than SYNs are sent again (tcp_syn_retries): an older record is of a connection that nobody accepted. */
#define SYN_LIFETIME (180 * 1000000000ULL)

int nodemesh_sk_lookup(struct bpf_sk_lookup *ctx)
{
	struct flow flow = {};
	struct listener_key key = {};
	struct origin *origin;
	if (ctx->protocol != IPPROTO_TCP)
		return SK_PASS;
	key.netns = NETNS;
	key.family = ctx->family;
	flow.netns = key.netns;
	if (ctx->family == AF_INET) {
		address_set4(&flow.source, ctx->remote_ip4);
		address_set4(&flow.destination, ctx->local_ip4);
	} else {
		for (int i = 0; i < 4; i++) {
			flow.source.words[i] = ctx->remote_ip6[i];
			flow.destination.words[i] = ctx->local_ip6[i];
		}
	}
	flow.source_port = ctx->remote_port;
	flow.destination_port = NETWORK16((u16)ctx->local_port);
	origin = flows.lookup(&flow);
	if (!origin || bpf_ktime_get_ns() - origin->started > SYN_LIFETIME)
		return SK_PASS;
	void *listener = listeners.lookup(&key);
	if (!listener) {
		/* Not to an app of the pod that happens to listen there. */
		count(HOOK_SK_LOOKUP, REASON_REFUSED_NO_LISTENER);
		return SK_DROP;
	}
	long failed = bpf_sk_assign((void *)ctx, listener, 0);
	bpf_sk_release(listener);
	count(HOOK_SK_LOOKUP, failed ? REASON_REFUSED_NO_LISTENER : REASON_REDIRECTED);
	return failed ? SK_DROP : SK_PASS;
}
