/* recvfrom() and recvmsg() of an IPv4 UDP socket: cgroup/recvmsg4. Answers seem to come from the server that was asked. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/dns.h"

int nodemesh_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct target source = {};
	address_set4(&source.address, ctx->user_ip4);
	source.port = ctx->user_port;
	if (!dns_restore(ctx, &source))
		return 1;
	ctx->user_ip4 = source.address.words[3];
	ctx->user_port = source.port;
	count(HOOK_RECVMSG4, REASON_ORIGIN_SHOWN);
	return 1;
}
