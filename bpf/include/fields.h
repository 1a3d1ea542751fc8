/* What stands in the kernel's own structs only. BCC relocates nothing: the loader reads the offsets from the kernel's BTF
 * and gives them as macros (agent/nodemesh/datapath/btf.py). Reading never faults; what is no longer there reads as
 * something else, so nothing may depend on it but the choice between two ways that are both right. */
#pragma once

#define O_NONBLOCK 04000

/* A pointer with its flags in the low bits (sk_user_data). */
#define POINTER_MASK (~7ULL)

#define FIELD(type, base, structure, field)                                                                 \
	({                                                                                                  \
		type value = 0;                                                                             \
		bpf_probe_read_kernel(&value, sizeof(value), (void *)((base) + OFFSET_##structure##__##field)); \
		value;                                                                                      \
	})

/* The kernel's own struct behind a context's socket: what contexts show as `struct bpf_sock` may not be calculated with. */
static inline u64 sock_of(void *sk)
{
	return sk ? (u64)bpf_skc_to_tcp_sock(sk) : 0;
}

static inline int nonblocking(u64 sk)
{
	u64 sock = FIELD(u64, sk, sock, sk_socket);
	u64 file = sock ? FIELD(u64, sock, socket, file) : 0;
	return file && (FIELD(u32, file, file, f_flags) & O_NONBLOCK);
}

/* The socket's part in sockmaps; 0 where it has none. sk_user_data may be somebody else's. */
static inline u64 psock_of(u64 sk)
{
	u64 psock = FIELD(u64, sk, sock, sk_user_data) & POINTER_MASK;
	return psock && FIELD(u64, psock, sk_psock, sk) == sk ? psock : 0;
}

/* Bytes that wait in the queue of what came without TCP. */
static inline u32 queued(u64 psock)
{
	return FIELD(u32, psock, sk_psock, msg_tot_len);
}

/* Whether the reader has taken all that the writer has sent by TCP. */
static inline int tcp_is_read(u64 writer, u64 reader)
{
	return FIELD(u32, writer, tcp_sock, write_seq) == FIELD(u32, reader, tcp_sock, copied_seq);
}

/* Whether something else (kTLS) has the socket's bytes first. */
static inline int has_ulp(u64 sk)
{
	return FIELD(u64, sk, inet_connection_sock, icsk_ulp_ops) != 0;
}
