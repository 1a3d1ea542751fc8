/* sendto() and sendmsg() of an unconnected UDP socket to an IPv6 address: cgroup/sendmsg6. Only DNS queries are touched. What goes to ::ffff:a.b.c.d passes sendmsg4. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/dns.h"

int nodemesh_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct target target = {};
	for (int i = 0; i < 4; i++)
		target.address.words[i] = ctx->user_ip6[i];
	target.port = ctx->user_port;
	enum reason reason = dns_translate(ctx, &target, 0);
	if (reason == REASON_NONE)
		return 1;
	count(HOOK_SENDMSG6, reason);
	for (int i = 0; i < 4; i++)
		ctx->user_ip6[i] = target.address.words[i];
	ctx->user_port = target.port;
	return 1;
}
