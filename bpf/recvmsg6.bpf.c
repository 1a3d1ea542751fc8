/* recvfrom() and recvmsg() of an IPv6 UDP socket: cgroup/recvmsg6. Answers seem to come from the server that was asked. */
#include <uapi/linux/bpf.h>

#include "include/count.h"
#include "include/dns.h"

int nodemesh_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct target source = {};
	for (int i = 0; i < 4; i++)
		source.address.words[i] = ctx->user_ip6[i];
	source.port = ctx->user_port;
	if (!dns_restore(ctx, &source))
		return 1;
	for (int i = 0; i < 4; i++)
		ctx->user_ip6[i] = source.address.words[i];
	ctx->user_port = source.port;
	count(HOOK_RECVMSG6, REASON_ORIGIN_SHOWN);
	return 1;
}
