/* What a socket was told to dial, kept in the socket itself: it needs no room that sockets of others could take, and is gone
 * with the socket. Where an app dials by MPTCP, the hooks see the socket of its one TCP connection, the app the MPTCP
 * socket before it: both carry the record. */
#pragma once

#include "addr.h"
#include "maps.h"

#ifdef HAVE_MPTCP
static void *(*skc_to_mptcp_sock)(void *sk) = (void *)196; /* Linux 5.19; NULL for all other sockets */
#else
#define skc_to_mptcp_sock(sk) ((void *)0)
#endif

static inline struct origin *origin_of(struct bpf_sock *sk)
{
	if (!sk)
		return 0;
	struct origin *found = origins.sk_storage_get(sk, 0, 0);
	return found;
}

/* Whether there was memory for it. */
static inline int origin_keep(struct bpf_sock *sk, const struct origin *origin)
{
	if (!sk)
		return 0;
	struct origin *kept = origins.sk_storage_get(sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return 0;
	*kept = *origin;
	void *before = skc_to_mptcp_sock(sk);
	if (before) {
		struct origin *shown = origins.sk_storage_get(before, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (shown)
			*shown = *origin;
	}
	return 1;
}

/* The SYN is about to leave from this port. */
static inline void origin_begin(struct bpf_sock *sk, struct origin *origin, u16 source_port)
{
	origin->started = bpf_ktime_get_ns();
	origin->source_port = source_port;
	if (!sk)
		return;
	void *before = skc_to_mptcp_sock(sk);
	if (before) {
		struct origin *shown = origins.sk_storage_get(before, 0, 0);
		if (shown)
			shown->source_port = source_port;
	}
}

static inline void origin_forget(struct bpf_sock *sk)
{
	if (!sk)
		return;
	origins.sk_storage_delete(sk);
	void *before = skc_to_mptcp_sock(sk);
	if (before) {
		origins.sk_storage_delete(before);
	}
}

/* The app's own address as it would be without us: of the family that it dialled. 0 where what is `shown` is right, where the
 * app has chosen one itself, or the socket's port shows that it has been used for something else since. */
static inline struct address *own_address(struct bpf_sock *sk, u16 port, const struct address *shown)
{
	struct origin *origin = origin_of(sk);
	struct pod *pod;
	struct address *own;
	int v4;
	if (!origin || !origin->chosen || origin->source_port != port)
		return 0;
	v4 = address_is4(&origin->address);
	/* In kernel mode, where an IPv6 service has IPv4 endpoints. */
	if (origin->mode == MODE_PROXY ? !address_is_loopback(shown) : v4 || !address_is4(shown))
		return 0;
	u64 netns = origin->netns;
	pod = pods.lookup(&netns);
	if (!pod)
		return 0;
	own = v4 ? &pod->own4 : &pod->own6;
	return own->words[0] | own->words[1] | own->words[2] | own->words[3] ? own : 0;
}
