/* DNS queries over UDP of pods that have asked for it, to the DNS listeners in their own namespace and back.
 *
 *   10.96.0.10:53  ->  127.0.0.1:15053, and the answer seems to come from 10.96.0.10:53
 *   10.96.0.11:53  ->  127.0.0.1:15054, and so on: each server that the pod asks has a port
 *
 * The port is what the listener knows the server by, so it needs no record of each query or socket: one socket may ask
 * several servers at once. A pod that asks more servers than there are ports asks the others directly.
 *
 * Decided afresh for each query of an unconnected socket, and at connect() for the others: when nobody serves, queries go
 * where they were meant to. A connected socket that outlives the listener is told so by the kernel (ECONNREFUSED) at its
 * next query, and resolvers open a new one. Nameservers at a loopback address are the pod's own affair. */
#pragma once

#include "addr.h"
#include "liveness.h"
#include "maps.h"
#include "origin.h"
#include "reasons.h"

#define DNS_PORT NETWORK16(53)

static inline int same_address(const struct address *one, const struct address *other)
{
	return one->words[0] == other->words[0] && one->words[1] == other->words[1] &&
	       one->words[2] == other->words[2] && one->words[3] == other->words[3];
}

/* The server's slot, taken now where it has none yet; NAMESERVERS where there is none left. */
static inline u32 nameserver_slot(u64 netns, const struct address *server)
{
	struct nameserver_key key = {};
	key.netns = netns;
	for (u32 slot = 0; slot < NAMESERVERS; slot++) {
		struct address wanted = *server;
		key.slot = slot;
		struct address *known = nameservers.lookup_or_try_init(&key, &wanted);
		if (known && same_address(known, &wanted))
			return slot;
	}
	return NAMESERVERS;
}

/* REASON_NONE for what is no query of such a pod. */
static inline enum reason dns_translate(struct bpf_sock_addr *ctx, struct target *target, int connecting)
{
	u32 zero = 0;
	u32 slot;
	u64 netns;
	struct pod *pod;
	struct settings *current;
	struct origin origin = {};
	enum reason late;
	int v4 = address_is4(&target->address);
	if (connecting)
		origin_forget(ctx->sk); /* of an earlier connect() of this socket */
	if (target->port != DNS_PORT || address_is_loopback(&target->address))
		return REASON_NONE;
	netns = bpf_get_netns_cookie(ctx);
	pod = pods.lookup(&netns);
	current = settings.lookup(&zero);
	if (!pod || !(pod->flags & POD_DNS) || !current)
		return REASON_NONE;
	late = why_not_served(current, netns, v4);
	if (late == REASON_NONE) {
		slot = nameserver_slot(netns, &target->address);
		/* What a socket has been connected to is shown to its app; that a socket has ever asked here, at all. */
		origin.netns = netns;
		origin.address = target->address;
		origin.port = target->port;
		if (slot < NAMESERVERS && (origin_of(ctx->sk) || origin_keep(ctx->sk, &origin))) {
			address_set_loopback(&target->address, v4);
			target->port = NETWORK16((u16)(NETWORK16(current->dns_port) + slot));
			return REASON_REDIRECTED;
		}
		late = REASON_MAP_FULL;
	}
	return late;
}

/* Have an answer that comes from one of our listeners seem to come from the server that was asked. */
static inline int dns_restore(struct bpf_sock_addr *ctx, struct target *source)
{
	u32 zero = 0;
	struct nameserver_key key = {};
	struct address *server;
	struct settings *current = settings.lookup(&zero);
	if (!current || !address_is_loopback(&source->address))
		return 0;
	key.slot = (u16)(NETWORK16(source->port) - NETWORK16(current->dns_port));
	if (key.slot >= NAMESERVERS || !origin_of(ctx->sk))
		return 0;
	key.netns = bpf_get_netns_cookie(ctx);
	server = nameservers.lookup(&key);
	if (!server || address_is4(server) != address_is4(&source->address))
		return 0;
	source->address = *server;
	source->port = DNS_PORT;
	return 1;
}
