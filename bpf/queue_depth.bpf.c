/* How many bytes wait in an app's queue: run by the proxy before it writes (BPF_PROG_TEST_RUN), attached nowhere. The
 * arguments are a `struct flow`, word by word. */
#include <uapi/linux/bpf.h>

#include "include/fields.h"
#include "include/maps.h"

#define DEPTH_UNKNOWN 0xffffffff /* nothing goes there but by TCP */

int nodemesh_queue_depth(struct bpf_raw_tracepoint_args *ctx)
{
	struct flow flow;
	u64 *words = (u64 *)&flow;
	struct pair *pair;
	u64 psock;
	for (int i = 0; i < sizeof(flow) / sizeof(u64); i++)
		words[i] = ctx->args[i];
	pair = pairs.lookup(&flow);
	psock = pair ? psock_of(pair->app) : 0;
	return psock ? queued(psock) : DEPTH_UNKNOWN;
}
