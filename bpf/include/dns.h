/* DNS queries over UDP of pods that have asked for it, to the DNS listener in their own namespace and back.
 *
 *   10.96.0.10:53  ->  127.0.0.1:15053, and the answer seems to come from 10.96.0.10:53
 *
 * Decided afresh for each query of an unconnected socket, and at connect() for the others: when nobody serves, queries go
 * where they were meant to. A connected socket that outlives the listener is told so by the kernel (ECONNREFUSED) at its
 * next query, and resolvers open a new one. Nameservers at a loopback address are the pod's own affair. */
#pragma once

#include "addr.h"
#include "liveness.h"
#include "maps.h"
#include "reasons.h"

#define DNS_PORT NETWORK16(53)

/* REASON_NONE for what is no query of such a pod. One server is remembered for each socket: a resolver that asks several
 * at once through one takes the answer from any of them. */
static inline enum reason dns_translate(struct bpf_sock_addr *ctx, struct target *target)
{
	u32 zero = 0;
	u64 netns, cookie;
	struct pod *pod;
	struct settings *current;
	struct origin origin = {};
	enum reason late;
	int v4 = address_is4(&target->address);
	if (target->port != DNS_PORT || address_is_loopback(&target->address))
		return REASON_NONE;
	netns = bpf_get_netns_cookie(ctx);
	pod = pods.lookup(&netns);
	current = settings.lookup(&zero);
	if (!pod || !(pod->flags & POD_DNS) || !current)
		return REASON_NONE;
	cookie = socket_cookie(ctx);
	late = why_not_served(current, netns, v4);
	if (late == REASON_NONE) {
		origin.netns = netns;
		origin.address = target->address;
		origin.port = target->port;
		if (origins.update(&cookie, &origin) == 0) {
			address_set_loopback(&target->address, v4);
			target->port = current->dns_port;
			return REASON_REDIRECTED;
		}
		late = REASON_MAP_FULL;
	}
	/* What the socket asked before was answered by us, what it asks now is not. */
	origins.delete(&cookie);
	return late;
}

/* The server that was asked, if the answer comes from our listener; else nothing. */
static inline struct origin *dns_origin(struct bpf_sock_addr *ctx, const struct target *source)
{
	u32 zero = 0;
	u64 cookie;
	struct settings *current = settings.lookup(&zero);
	if (!current || source->port != current->dns_port || !address_is_loopback(&source->address))
		return 0;
	cookie = socket_cookie(ctx);
	return origins.lookup(&cookie);
}
