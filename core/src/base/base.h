/* base.h - what every room of the core stands on: errors, memory, sizes, text. */
#ifndef NAC_BASE_H
#define NAC_BASE_H

#include "nac.h"

#if defined(__GNUC__)
#define NAC_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define NAC_PRINTF(text, first)
#endif

/* A loop over the millions of numbers of a model, which runs once, when a session is made, is a function of its own that is called for a stretch
 * of them at a time: engines compile WebAssembly quickly at first and well later, and go over to the better code between two calls. */
enum { NAC_STRETCH = 1 << 14 };
#if defined(__GNUC__)
#define NAC_NOT_INLINED __attribute__((noinline))
#else
#define NAC_NOT_INLINED
#endif

#define NAC_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fills error (may be NULL) and returns status, so that a caller can `return nac_fail(...)`. */
nac_status nac_fail(nac_error *error, nac_status status, const char *format, ...) NAC_PRINTF(3, 4);

/* Evaluates an expression of type nac_status and hands a failure up. */
#define NAC_TRY(expression)                      \
    do {                                         \
        nac_status status_ = (expression);       \
        if (status_ != NAC_OK) return status_;   \
    } while (0)

/* All of the core's memory comes through these three. They stand alone in memory.c so that a test can link another
 * file in its place, to count allocations or to fail the n-th. XNNPACK, yyjson and stb_image are given them too. */
void *nac_alloc(size_t bytes);                /* uninitialised, aligned to 16; NULL when out of memory */
void *nac_realloc(void *memory, size_t bytes); /* as realloc; the old block stays valid on NULL */
void nac_free(void *memory);

/* count * size zeroed bytes, or NULL on overflow or when out of memory. count or size 0 gives a valid block. */
void *nac_alloc_array(size_t count, size_t size);

/* *result = a * b, or false on overflow. */
bool nac_mul_size(size_t a, size_t b, size_t *result);
bool nac_add_size(size_t a, size_t b, size_t *result);

/* A copy of the first `length` bytes of text with a NUL behind, or NULL when out of memory. */
char *nac_strndup(const char *text, size_t length);

/* The most common failure, with what the memory was for. */
nac_status nac_out_of_memory(nac_error *error, const char *what);

#ifdef __clang_analyzer__
/* Static analysis sees one file at a time, and so not that what a failure returns is never NAC_OK. */
#define nac_fail(error, status, ...) (nac_fail(error, status, __VA_ARGS__), (status))
#define nac_out_of_memory(error, what) (nac_out_of_memory(error, what), NAC_OUT_OF_MEMORY)
#endif

#endif
