/* The maps, each pinned under its own name in NODEMESH_PINS, where the agent finds them. The loader gives the sizes. */
#pragma once

#include "types.h"

#ifndef BPF_F_NO_PREALLOC
#define BPF_F_NO_PREALLOC 1
#endif

#define MAP(type, key, value, name, size, flags) \
	BPF_TABLE_PINNED(type, key, value, name, size, NODEMESH_PINS "/" #name, flags)

/* BCC's own declaration of a sockhash knows no pins, its declaration of a pinned map no sockets. */
#define SOCKHASH(key_type, name, size)                                          \
	struct name##_table_t {                                                 \
		key_type key;                                                   \
		u64 leaf;                                                       \
		int (*delete)(key_type *);                                      \
		int (*sock_hash_update)(void *, void *, u64);                   \
		int (*msg_redirect_hash)(void *, void *, u64);                  \
		u32 max_entries;                                                \
		int flags;                                                      \
	};                                                                      \
	__attribute__((section("maps/sockhash:" NODEMESH_PINS "/" #name)))      \
	struct name##_table_t name = { .flags = 0, .max_entries = (size) }

/* What a socket carries with it, and what goes with it. BCC's own declaration knows no pins; the loader makes the map,
 * since the kernel wants its types described (BTF). */
#define SK_STORAGE(leaf_type, name)                                               \
	struct name##_table_t {                                                   \
		int key;                                                          \
		leaf_type leaf;                                                   \
		void *(*sk_storage_get)(void *, void *, int);                     \
		int (*sk_storage_delete)(void *);                                 \
		u32 flags;                                                        \
	};                                                                        \
	__attribute__((section("maps/sk_storage:" NODEMESH_PINS "/" #name)))      \
	struct name##_table_t name = { .flags = BPF_F_NO_PREALLOC }

/* BCC's own declaration (0.26) cuts the cookie down to 32 bits. */
static u64 (*socket_cookie)(void *ctx) = (void *)BPF_FUNC_get_socket_cookie;

/* Written by the agent. */
MAP("array", u32, struct settings, settings, 1, 0);
MAP("array", u32, u64, heartbeats, HEARTBEATS, 0);
MAP("hash", u64, struct pod, pods, PODS_SIZE, BPF_F_NO_PREALLOC);
MAP("sockhash", struct listener_key, u64, listeners, LISTENERS_SIZE, 0);
MAP("hash", struct service_key, struct service, services, SERVICES_SIZE, BPF_F_NO_PREALLOC);
MAP("lpm_trie", struct network_key, struct service, networks, NETWORKS_SIZE, BPF_F_NO_PREALLOC);
MAP("hash", u64, u32, captures, CAPTURES_SIZE, BPF_F_NO_PREALLOC);
MAP("lpm_trie", struct range_key, u32, ranges, RANGES_SIZE, BPF_F_NO_PREALLOC);
MAP("hash", struct backend_key, struct backend, backends, BACKENDS_SIZE, BPF_F_NO_PREALLOC);

/* Written by the hooks. LRU, so that what an app or a detached pod leaves behind makes room by itself. */
SK_STORAGE(struct origin, origins);
MAP("lru_hash", struct nameserver_key, struct address, nameservers, NAMESERVERS_SIZE, 0);
MAP("lru_hash", struct flow, struct origin, flows, FLOWS_SIZE, 0);
MAP("lru_hash", struct traffic_key, struct traffic, traffic, TRAFFIC_SIZE, 0);
MAP("hash", struct flow, struct pair, pairs, PAIRS_SIZE, BPF_F_NO_PREALLOC);
SOCKHASH(struct flow, sockets, SOCKETS_SIZE);
MAP("percpu_array", u32, u64, counters, HOOKS * REASONS, 0);
