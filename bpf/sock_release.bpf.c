/* The end of a socket: cgroup/sock_release. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/maps.h"

int nodemesh_sock_release(struct bpf_sock *ctx)
{
	u64 cookie = socket_cookie(ctx);
	struct origin *origin = origins.lookup(&cookie);
	/* A connection that is balanced here goes on being closed; sockops sees its end. */
	if (!origin || (origin->tracked && origin->mode == MODE_KERNEL))
		return 1;
	if (origins.delete(&cookie) == 0)
		count(HOOK_SOCK_RELEASE, REASON_ORIGIN_DROPPED);
	return 1;
}
