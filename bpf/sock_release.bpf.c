/* The end of a socket: cgroup/sock_release. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/maps.h"

int nodemesh_sock_release(struct bpf_sock *ctx)
{
	u64 cookie = socket_cookie(ctx);
	if (origins.delete(&cookie) == 0)
		count(HOOK_SOCK_RELEASE, REASON_ORIGIN_DROPPED);
	return 1;
}
