/* getsockname() of an IPv4 socket: cgroup/getsockname4. The app sees its pod's address, as without us. */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/origin.h"

int nodemesh_getsockname4(struct bpf_sock_addr *ctx)
{
	struct address shown = {};
	address_set4(&shown, ctx->user_ip4);
	struct address *own = own_address(ctx->sk, ctx->user_port, &shown);
	if (!own || !address_is4(own))
		return 1;
	ctx->user_ip4 = own->words[3];
	count(HOOK_GETSOCKNAME4, REASON_ORIGIN_SHOWN);
	return 1;
}
