/* connect() of an IPv6 socket: cgroup/connect6. JVMs and others dial IPv4 as ::ffff:a.b.c.d through such sockets, which
 * is the shape that the maps have anyway. */
#include <uapi/linux/bpf.h>

#include "include/dns.h"
#include "include/translate.h"

int nodemesh_connect6(struct bpf_sock_addr *ctx)
{
	struct target target = {};
	enum reason reason;
	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return 1;
	for (int i = 0; i < 4; i++)
		target.address.words[i] = ctx->user_ip6[i];
	target.port = ctx->user_port;
	reason = ctx->protocol == IPPROTO_TCP ? connect_translate(ctx, &target, 0) : dns_translate(ctx, &target, 1);
	if (reason == REASON_NONE)
		return 1;
	count(HOOK_CONNECT6, reason);
	for (int i = 0; i < 4; i++)
		ctx->user_ip6[i] = target.address.words[i];
	ctx->user_port = target.port;
	return reason != REASON_REFUSED_DEVICE;
}
