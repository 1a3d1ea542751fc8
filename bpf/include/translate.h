/* What becomes of a connect(): found in the maps, decided here, carried out by the hooks.
 *
 *   10.96.0.10:9080  pass    -> unchanged
 *                    kernel  -> 10.244.1.7:9080, one slot of the service's set
 *                    proxy   -> 127.0.0.2 in the pod's own namespace, if somebody there listens and lives, at a port of
 *                               this socket's own, from where sk_lookup hands it to that listener
 *                               otherwise unchanged (fail open) or 127.0.0.1:0, where the kernel refuses (fail closed)
 */
#pragma once

#include "addr.h"
#include "capture.h"
#include "count.h"
#include "liveness.h"
#include "maps.h"
#include "origin.h"
#include "reasons.h"

#define LOOPBACK_DEVICE 1 /* in every network namespace */

static inline struct service *service_find_in_network(const struct target *dialled, u32 view, u16 port)
{
	struct network_key key = {};
	key.prefix_length = 64 + 128;
	key.view = view;
	key.port = port;
	key.protocol = IPPROTO_TCP;
	key.address = dialled->address;
	return networks.lookup(&key);
}

/* An address beats a network, a pod's own view beats what all see, one port beats every port. Networks are in each view
 * in full: a wider one of the pod's own view must not hide a narrower one. */
static inline struct service *service_find(const struct target *dialled, u32 view)
{
	struct service_key key = {};
	struct service *found;
	key.address = dialled->address;
	key.port = dialled->port;
	key.protocol = IPPROTO_TCP;
	key.view = view;
	found = services.lookup(&key);
	if (!found && view) {
		key.view = 0;
		found = services.lookup(&key);
	}
	if (found)
		return found;
	found = service_find_in_network(dialled, view, dialled->port);
	if (!found)
		found = service_find_in_network(dialled, view, 0);
	return found;
}

/* Sockets that live at the same time have ports of their own to go to: else a pod could have as many connections in all as
 * it has local ports, and one local port could not be bound for two of them.
 *
 * A connection must not have the same address and port at both ends: TCP would connect the socket to itself. IPv4 ones go to
 * another address than they come from. IPv6 has but one loopback address: they go to a port below those that the kernel
 * gives to sockets (ip_local_port_range), and not to the one that the app has bound. */
#define PRIVILEGED 1023

static inline void redirect(struct target *target, struct bpf_sock *sk, u64 cookie, int v4)
{
	u32 port;
	if (v4) {
		address_set4(&target->address, REDIRECT4);
		target->port = NETWORK16((u16)(1 + cookie % 65535));
		return;
	}
	address_set_loopback(&target->address, 0);
	port = 1 + cookie % PRIVILEGED;
	if (sk && port == sk->src_port)
		port = 1 + port % PRIVILEGED;
	target->port = NETWORK16((u16)port);
}

static inline enum reason translate_to_proxy(struct target *target, const struct service *service, u64 netns,
					     struct bpf_sock *sk, u64 cookie)
{
	u32 zero = 0;
	struct settings *current = settings.lookup(&zero);
	int v4 = address_is4(&target->address);
	enum reason late;
	if (!current)
		return REASON_PASS_HEARTBEAT_LATE;
	late = why_not_served(current, netns, v4);
	if (late != REASON_NONE && !(service->flags & SERVICE_FAIL_CLOSED))
		return late;
	if (late == REASON_NONE) {
		redirect(target, sk, cookie, v4);
		return REASON_REDIRECTED;
	}
	address_set_loopback(&target->address, v4);
	target->port = 0;
	return late == REASON_PASS_NO_LISTENER ? REASON_REFUSED_NO_LISTENER : REASON_REFUSED_HEARTBEAT_LATE;
}

static inline enum reason translate_to_backend(struct target *target, struct service *service, u64 netns)
{
	struct backend_key key = {};
	struct backend *backend;
	u32 slots = service->slots;
	u32 number;
	if (slots == 0)
		return REASON_PASS_NO_ENDPOINT;
	if (service->flags & SERVICE_AFFINITY) {
		number = (netns * 0x9e3779b97f4a7c15ULL) >> 32; /* Fibonacci hashing: cookies follow one another */
	} else if (service->flags & SERVICE_ROUND_ROBIN) {
		/* Two connects at once may draw the same slot: without a fetched atomic (Linux 5.12) that is as near as it gets. */
		number = service->cursor;
		__sync_fetch_and_add(&service->cursor, 1);
	} else {
		number = bpf_get_prandom_u32();
	}
	key.set = service->backends;
	key.slot = number % slots;
	backend = backends.lookup(&key);
	if (!backend)
		return REASON_PASS_NO_ENDPOINT;
	target->address = backend->address;
	target->port = backend->port;
	return REASON_BALANCED;
}

static inline enum reason translate(struct target *target, struct service *service, u64 netns, struct bpf_sock *sk, u64 cookie)
{
	if (service->mode == MODE_PROXY)
		return translate_to_proxy(target, service, netns, sk, cookie);
	if (service->mode == MODE_KERNEL)
		return translate_to_backend(target, service, netns);
	return REASON_PASS_MODE;
}

/* The whole of a connect hook but for reading and writing the context. `target` is changed where the connection is to go
 * elsewhere; the reason says why. */
/* A socket that is bound to a device cannot reach the loopback: its connect() would hang. What is bound to an address can. */
static inline int bound_elsewhere(struct bpf_sock *sk)
{
	return sk && sk->bound_dev_if && sk->bound_dev_if != LOOPBACK_DEVICE;
}

static inline int source_chosen(struct bpf_sock *sk, int v4)
{
	if (v4)
		return sk && !sk->src_ip4;
	return sk && !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
}

static inline enum reason connect_translate(struct bpf_sock_addr *ctx, struct target *target, int v4)
{
	u64 netns = bpf_get_netns_cookie(ctx);
	struct pod *pod = pods.lookup(&netns);
	if (!pod)
		return REASON_PASS_NOT_MESHED;
	u64 cookie = socket_cookie(ctx);
	struct target dialled = *target;
	struct origin origin = {};
	struct service *service = 0;
	enum reason reason = REASON_PASS_EXCLUDED;
	if (captured(netns, target)) {
		service = service_find(target, pod->view);
		reason = REASON_PASS_NOT_MESHED;
	}
	if (service) {
		origin.netns = netns;
		origin.address = service->alias_port ? service->alias : dialled.address;
		origin.port = service->alias_port ? service->alias_port : dialled.port;
		origin.mode = service->mode;
		origin.chosen = source_chosen(ctx->sk, v4);
		reason = translate(target, service, netns, ctx->sk, cookie);
	}
	if (address_is_loopback(&target->address) && bound_elsewhere(ctx->sk) && !address_is_loopback(&dialled.address)) {
		*target = dialled;
		reason = reason == REASON_REDIRECTED && !(service->flags & SERVICE_FAIL_CLOSED) ? REASON_PASS_DEVICE :
											   REASON_REFUSED_DEVICE;
	}
	if (reason == REASON_REDIRECTED || reason == REASON_BALANCED) {
		if (origin_keep(ctx->sk, &origin))
			return reason;
		*target = dialled;
		reason = REASON_MAP_FULL;
	}
	/* An earlier attempt of this socket may have left its record. */
	origin_forget(ctx->sk);
	return reason;
}
