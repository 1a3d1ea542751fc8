/* Addresses in their one shape (16 bytes, network order) and back. */
#pragma once

#include "types.h"

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NETWORK16(x) __builtin_bswap16(x)
#define NETWORK32(x) __builtin_bswap32(x)
#else
#define NETWORK16(x) (x)
#define NETWORK32(x) (x)
#endif

#define MAPPED NETWORK32(0xffff) /* the third word of ::ffff:a.b.c.d */
#define LOOPBACK4 NETWORK32(0x7f000001)

/* Where redirected IPv4 connections go: not where they come from, which is LOOPBACK4. */
#define REDIRECT4 NETWORK32(0x7f000002)

static inline void address_set4(struct address *address, u32 ip)
{
	address->words[0] = 0;
	address->words[1] = 0;
	address->words[2] = MAPPED;
	address->words[3] = ip;
}

static inline int address_is4(const struct address *address)
{
	return address->words[0] == 0 && address->words[1] == 0 && address->words[2] == MAPPED;
}

static inline int address_is_loopback(const struct address *address)
{
	if (address_is4(address))
		return (address->words[3] & NETWORK32(0xff000000)) == NETWORK32(0x7f000000);
	return address->words[0] == 0 && address->words[1] == 0 && address->words[2] == 0 &&
	       address->words[3] == NETWORK32(1);
}

static inline void address_set_loopback(struct address *address, int v4)
{
	if (v4) {
		address_set4(address, LOOPBACK4);
		return;
	}
	address->words[0] = 0;
	address->words[1] = 0;
	address->words[2] = 0;
	address->words[3] = NETWORK32(1);
}
