/* getsockname() of an IPv6 socket: cgroup/getsockname6. The app sees its pod's address, as without us. */
#include <uapi/linux/bpf.h>

#include "include/addr.h"
#include "include/count.h"
#include "include/origin.h"

int nodemesh_getsockname6(struct bpf_sock_addr *ctx)
{
	struct address shown = {};
	for (int i = 0; i < 4; i++)
		shown.words[i] = ctx->user_ip6[i];
	struct address *own = own_address(ctx->sk, ctx->user_port, &shown);
	if (!own)
		return 1;
	for (int i = 0; i < 4; i++)
		ctx->user_ip6[i] = own->words[i];
	count(HOOK_GETSOCKNAME6, REASON_ORIGIN_SHOWN);
	return 1;
}
