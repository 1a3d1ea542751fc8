/* connect() of an IPv4 socket: cgroup/connect4. */
#include <uapi/linux/bpf.h>

#include "include/dns.h"
#include "include/translate.h"

int nodemesh_connect4(struct bpf_sock_addr *ctx)
{
	struct target target = {};
	enum reason reason;
	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return 1;
	address_set4(&target.address, ctx->user_ip4);
	target.port = ctx->user_port;
	reason = ctx->protocol == IPPROTO_TCP ? connect_translate(ctx, &target, 1) : dns_translate(ctx, &target, 1);
	if (reason == REASON_NONE)
		return 1;
	count(HOOK_CONNECT4, reason);
	ctx->user_ip4 = target.address.words[3];
	ctx->user_port = target.port;
	return reason != REASON_REFUSED_DEVICE;
}
