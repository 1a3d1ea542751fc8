/* getpeername() of an IPv4 socket: cgroup/getpeername4. The app sees the address that it dialled. */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/origin.h"

int nodemesh_getpeername4(struct bpf_sock_addr *ctx)
{
	struct origin *origin = origin_of(ctx->sk);
	if (!origin)
		return 1;
	ctx->user_ip4 = origin->address.words[3];
	ctx->user_port = origin->port;
	count(HOOK_GETPEERNAME4, REASON_ORIGIN_SHOWN);
	return 1;
}
