/* One counter per hook and reason. */
#pragma once

#include "maps.h"
#include "reasons.h"

static inline void count(enum hook hook, enum reason reason)
{
	u32 index = hook * REASONS + reason;
	u64 *counter = counters.lookup(&index);
	if (counter)
		*counter += 1; /* per CPU */
}
