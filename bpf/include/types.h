/* The records that kernel and agent share through the maps. Addresses are 16 bytes: IPv4 as ::ffff:a.b.c.d. Addresses
 * and ports are in network order, everything else in the host's. agent/nodemesh/datapath/maps.py repeats every layout
 * and tests/unit/datapath/test_maps.py compares the two; LAYOUT there and here grows with any change. */
#pragma once

#define LAYOUT 5

struct address {
	u32 words[4];
};

/* What a connect() asks for. A pod's own view is looked up first, then view 0, which all pods share. */
struct service_key {
	struct address address;
	u32 view;
	u16 port;
	u8 protocol;
	u8 unused;
};

/* The same for whole networks: a key of the longest-prefix trie. `prefix_length` counts the 64 bits of view, port and
 * protocol too. */
struct network_key {
	u32 prefix_length;
	u32 view;
	u16 port; /* 0: every port */
	u8 protocol;
	u8 unused;
	struct address address;
};

enum mode {
	MODE_PASS = 0,
	MODE_KERNEL = 1,
	MODE_PROXY = 2,
};

enum service_flag {
	SERVICE_FAIL_CLOSED = 1,
	SERVICE_ROUND_ROBIN = 2,
	SERVICE_AFFINITY = 4, /* a pod always draws the same slot */
};

struct service {
	u64 backends; /* MODE_KERNEL: the set of slots to draw from, named by its contents */
	u32 slots;
	u32 cursor; /* SERVICE_ROUND_ROBIN: the kernel counts here */
	u8 mode;
	u8 flags;
	u16 alias_port; /* 0: none. Otherwise the proxy is told that this was dialled ... */
	u32 unused;
	struct address alias; /* ... because the entry stands for an endpoint of that service */
};

struct backend_key {
	u64 set;
	u32 slot;
	u32 unused;
};

struct backend {
	struct address address;
	u16 port;
	u16 unused;
};

enum pod_flag {
	POD_DNS = 1, /* its DNS queries go to the listeners from settings.dns_port on */
	POD_SOCKMAP = 2, /* bytes between its sockets and the proxy's may skip TCP */
};

struct pod {
	u32 view;
	u32 flags;
	struct address own4; /* its own addresses, which getsockname() shows in the place of the loopback's; 0: unknown */
	struct address own6;
};

/* What a pod leaves out of the mesh, or takes in, by port and network: a key of the longest-prefix trie. Sets are named by
 * numbers, and a set never changes while a pod uses it. */
struct range_key {
	u32 prefix_length; /* counts the 64 bits of set and port too */
	u32 set;
	u16 port; /* 0: whatever the port */
	u16 unused;
	struct address address;
};

enum range {
	RANGE_NONE = 0,
	RANGE_INCLUDED = 1,
	RANGE_EXCLUDED = 2,
};

/* The servers that a pod has asked, in the order of the first queries: queries to the one in slot n go to port
 * settings.dns_port + n, which tells the listeners there which server they were meant for. */
struct nameserver_key {
	u64 netns;
	u32 slot;
	u32 unused;
};

/* What was dialled: kept in the socket itself from connect() (or a DNS query's sendto()) on, and in `flows` from the SYN
 * until the proxy has accepted. */
struct origin {
	u64 netns;
	struct address address;
	u16 port;
	u8 mode;
	u8 chosen; /* the app left its own address to the kernel */
	u32 joined; /* in `flows`: the app's socket stands in `sockets`, and the proxy's may follow */
	u64 started; /* when the SYN left: bpf_ktime_get_ns() */
	u16 source_port; /* of that connection: a socket that is used again has another, or none */
	u16 unused[3];
};

/* A redirected connection as the proxy sees it after accept: `source` is the app's end. */
struct flow {
	u64 netns;
	struct address source;
	struct address destination;
	u16 source_port;
	u16 destination_port;
	u32 end; /* in `sockets`: which of the two sockets is meant */
};

enum end {
	END_APP = 0,
	END_PROXY = 1,
};

/* The two sockets of a redirected connection, both in `sockets`: what sk_msg has to know of them to move bytes from one to
 * the other without TCP. Pointers are for bpf_probe_read_kernel alone. */
struct pair {
	u64 app;
	u64 proxy; /* 0 until the proxy has sent something */
	u8 verified; /* the app's socket did not block when its first request had arrived */
	u8 begun; /* it was when the proxy was about to write: the app gets all that it is sent without TCP */
	u8 refused; /* it was not: the app gets nothing without TCP */
	u8 unused[5];
};

/* Connections in MODE_KERNEL, summed up by who dialled what and where it went. */
struct traffic_key {
	u64 netns;
	struct address dialled;
	struct address backend;
	u16 dialled_port;
	u16 backend_port;
	u32 unused;
};

struct traffic {
	u64 opened;
	u64 failed; /* never established */
	u64 closed;
	u64 sent; /* bytes, by closed connections; TCP counts SYN and FIN as one each */
	u64 received;
	u64 duration; /* nanoseconds, of closed connections */
	u64 rtt; /* microseconds: the sum of each closed connection's smoothed one */
};

struct listener_key {
	u64 netns;
	u32 family; /* AF_INET, AF_INET6 */
	u32 unused;
};

struct settings {
	u64 heartbeat_limit; /* nanoseconds */
	u16 dns_port;
	u16 unused;
	u32 workers; /* heartbeat slots in use */
};

enum hook {
	HOOK_CONNECT4 = 0,
	HOOK_CONNECT6 = 1,
	HOOK_GETPEERNAME4 = 2,
	HOOK_GETPEERNAME6 = 3,
	HOOK_SOCKOPS = 4,
	HOOK_SOCK_RELEASE = 5,
	HOOK_SENDMSG4 = 6,
	HOOK_SENDMSG6 = 7,
	HOOK_RECVMSG4 = 8,
	HOOK_RECVMSG6 = 9,
	HOOK_SOCKOPS_SOCKMAP = 10,
	HOOK_SK_MSG = 11,
	HOOK_QUEUE_DEPTH = 12,
	HOOK_SK_LOOKUP = 13,
	HOOK_GETSOCKNAME4 = 14,
	HOOK_GETSOCKNAME6 = 15,
	HOOKS = 16,
};

#define REASONS 64 /* the kernel's share of reasons.py */
#define HEARTBEATS 64 /* slots: one per worker */
#define NAMESERVERS 4 /* slots of a pod: resolv.conf holds three, and a fourth that somebody tries */

_Static_assert(sizeof(struct address) == 16, "address");
_Static_assert(sizeof(struct service_key) == 24, "service_key");
_Static_assert(sizeof(struct network_key) == 28, "network_key");
_Static_assert(sizeof(struct service) == 40, "service");
_Static_assert(sizeof(struct backend_key) == 16, "backend_key");
_Static_assert(sizeof(struct backend) == 20, "backend");
_Static_assert(sizeof(struct pod) == 40, "pod");
_Static_assert(sizeof(struct range_key) == 28, "range_key");
_Static_assert(sizeof(struct nameserver_key) == 16, "nameserver_key");
_Static_assert(sizeof(struct origin) == 48, "origin");
_Static_assert(sizeof(struct flow) == 48, "flow");
_Static_assert(sizeof(struct pair) == 24, "pair");
_Static_assert(sizeof(struct traffic_key) == 48, "traffic_key");
_Static_assert(sizeof(struct traffic) == 56, "traffic");
_Static_assert(sizeof(struct listener_key) == 16, "listener_key");
_Static_assert(sizeof(struct settings) == 16, "settings");
