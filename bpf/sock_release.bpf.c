/* The end of a socket, where the app closes it: cgroup/sock_release. */
#include <uapi/linux/bpf.h>

#include "include/origin.h"

int nodemesh_sock_release(struct bpf_sock *ctx)
{
	struct origin *origin = origins.sk_storage_get(ctx, 0, 0);
	/* A connection that is balanced here goes on being closed; sockops sees its end. One that is redirected is over for
	 * sockops: its record in `flows` stays, since the proxy may yet accept what was sent before. */
	if (origin && origin->mode == MODE_PROXY)
		origin->mode = MODE_PASS;
	return 1;
}
