/* memory.c - the only allocator of the core, alone in its file so that tests can replace it. */
#include <stdlib.h>

#include "base/base.h"

void *nac_alloc(size_t bytes) { return malloc(bytes ? bytes : 1); }

void *nac_realloc(void *memory, size_t bytes) { return realloc(memory, bytes ? bytes : 1); }

void nac_free(void *memory) { free(memory); }
