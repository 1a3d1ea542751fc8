/* Counts what Python allocates: one layer more over its allocators (PyMem_SetAllocator), for suite `work`. */
#include <stddef.h>

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *place, size_t size);
    void (*free)(void *ctx, void *place);
} PyMemAllocatorEx;

extern void PyMem_GetAllocator(int domain, PyMemAllocatorEx *allocator);
extern void PyMem_SetAllocator(int domain, PyMemAllocatorEx *allocator);

enum { DOMAINS = 3 }; /* raw, mem, object */

static PyMemAllocatorEx below[DOMAINS];
static unsigned long count;

static void *more(void *ctx, size_t size)
{
    PyMemAllocatorEx *next = ctx;
    count++;
    return next->malloc(next->ctx, size);
}

static void *cleared(void *ctx, size_t number, size_t size)
{
    PyMemAllocatorEx *next = ctx;
    count++;
    return next->calloc(next->ctx, number, size);
}

static void *moved(void *ctx, void *place, size_t size)
{
    PyMemAllocatorEx *next = ctx;
    count++;
    return next->realloc(next->ctx, place, size);
}

static void released(void *ctx, void *place)
{
    PyMemAllocatorEx *next = ctx;
    next->free(next->ctx, place);
}

void start(void)
{
    for (int domain = 0; domain < DOMAINS; domain++) {
        PyMemAllocatorEx layer = {&below[domain], more, cleared, moved, released};
        PyMem_GetAllocator(domain, &below[domain]);
        PyMem_SetAllocator(domain, &layer);
    }
}

unsigned long allocations(void)
{
    return count;
}
