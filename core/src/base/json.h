/* json.h - yyjson with the core's memory. yyjson.h is seen by the rooms that read or write JSON, through this header. */
#ifndef NAC_JSON_H
#define NAC_JSON_H

#include <yyjson.h>

#include "base/base.h"

/* Hands nac_alloc, nac_realloc and nac_free to yyjson, so that tests that count or fail allocations see these too. */
yyjson_alc nac_json_allocator(void);

/* The same, and *failed becomes true when memory runs out. For building documents: yyjson's builders take the NULL of an earlier
 * failure without complaint, and a document with holes looks whole, so one look at *failed at the end tells. */
yyjson_alc nac_json_watched_allocator(bool *failed);

#endif
