/* sendto() and sendmsg() of an unconnected UDP socket to an IPv4 address: cgroup/sendmsg4. Only DNS queries are touched. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/dns.h"

int nodemesh_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct target target = {};
	address_set4(&target.address, ctx->user_ip4);
	target.port = ctx->user_port;
	enum reason reason = dns_translate(ctx, &target, 0);
	if (reason == REASON_NONE)
		return 1;
	count(HOOK_SENDMSG4, reason);
	ctx->user_ip4 = target.address.words[3];
	ctx->user_port = target.port;
	return 1;
}
