/* getpeername() of an IPv6 socket: cgroup/getpeername6. The app sees the address that it dialled. */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/origin.h"

int nodemesh_getpeername6(struct bpf_sock_addr *ctx)
{
	struct origin *origin = origin_of(ctx->sk);
	if (!origin)
		return 1;
	for (int i = 0; i < 4; i++)
		ctx->user_ip6[i] = origin->address.words[i];
	ctx->user_port = origin->port;
	count(HOOK_GETPEERNAME6, REASON_ORIGIN_SHOWN);
	return 1;
}
