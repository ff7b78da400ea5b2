/* XNNPACK checks this when it loads a cache of packed weights; upstream generates it with Python. No
 * such cache is used here, so a constant will do. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint8_t identifier[] = "nac-wasm";

const void* xnn_experimental_get_build_identifier_data(void);
size_t xnn_experimental_get_build_identifier_size(void);
bool xnn_experimental_check_build_identifier(const void* data, size_t size);

size_t xnn_experimental_get_build_identifier_size(void) { return sizeof(identifier); }

const void* xnn_experimental_get_build_identifier_data(void) { return identifier; }

bool xnn_experimental_check_build_identifier(const void* data, size_t size) {
    return size == sizeof(identifier) && memcmp(data, identifier, size) == 0;
}
