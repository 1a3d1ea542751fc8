/* How many bytes wait in an app's queue: run by the proxy before it writes (BPF_PROG_TEST_RUN), attached nowhere. The
 * arguments are a `struct flow`, word by word, and whether the first answer is small.
 *
 * The first run decides which way the app gets its bytes, once and for all. If its first request has not been seen to
 * arrive, because the server speaks first or the acknowledgement is late, or if its first answer is small, that is TCP; the
 * proxy then takes the app's socket out of `sockets`, which only sockops and system calls may. Nothing was queued for it, so
 * nothing is lost. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/fields.h"
#include "include/maps.h"

#define DEPTH_UNKNOWN 0xffffffff /* by TCP */

int nodemesh_queue_depth(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow flow;
	u64 *words = (u64 *)&flow;
	struct pair *pair;
	u64 psock, small = ctx->args[sizeof(flow) / sizeof(u64)];
	for (int i = 0; i < sizeof(flow) / sizeof(u64); i++)
		words[i] = ctx->args[i];
	pair = pairs.lookup(&flow);
	if (!pair || pair->refused)
		return DEPTH_UNKNOWN;
	if (!pair->verified || (!pair->begun && small)) {
		pair->refused = 1;
		count(HOOK_QUEUE_DEPTH, pair->verified ? REASON_TCP_SMALL : REASON_TCP_UNVERIFIED);
		return DEPTH_UNKNOWN;
	}
	if (!pair->begun) {
		pair->begun = 1;
		count(HOOK_QUEUE_DEPTH, REASON_SOCKMAP_BEGUN);
	}
	psock = psock_of(pair->app);
	return psock ? queued(psock) : DEPTH_UNKNOWN;
}
