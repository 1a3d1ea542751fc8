/* connect() of an IPv4 socket: cgroup/connect4. */
#include <uapi/linux/bpf.h>

#include "include/translate.h"

int nodemesh_connect4(struct bpf_sock_addr *ctx)
{
	struct target target = {};
	if (ctx->protocol != IPPROTO_TCP)
		return 1;
	address_set4(&target.address, ctx->user_ip4);
	target.port = ctx->user_port;
	count(HOOK_CONNECT4, connect_translate(ctx, &target));
	ctx->user_ip4 = target.address.words[3];
	ctx->user_port = target.port;
	return 1;
}
