#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *nac_status_name(nac_status status) {
    switch (status) {
#define X(name, sentence) \
    case NAC_##name: return #name;
        NAC_STATUS_LIST(X)
#undef X
    }
    return "UNKNOWN";
}

const char *nac_status_text(nac_status status) {
    switch (status) {
#define X(name, sentence) \
    case NAC_##name: return sentence;
        NAC_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

/* Names inside a message come from strangers' files: what a terminal could obey is made visible instead. */
static void make_printable(char *text) {
    for (; *text; ++text)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

nac_status (nac_fail)(nac_error *error, nac_status status, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        (void)vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        make_printable(error->message);
    }
    return status;
}

nac_status (nac_out_of_memory)(nac_error *error, const char *what) {
    return nac_fail(error, NAC_OUT_OF_MEMORY, "memory ran out for %s", what);
}

bool nac_mul_size(size_t a, size_t b, size_t *result) {
    if (b != 0 && a > SIZE_MAX / b) return false;
    *result = a * b;
    return true;
}

bool nac_add_size(size_t a, size_t b, size_t *result) {
    if (a > SIZE_MAX - b) return false;
    *result = a + b;
    return true;
}

void *nac_alloc_array(size_t count, size_t size) {
    size_t bytes;
    if (!nac_mul_size(count, size, &bytes)) return NULL;
    void *memory = nac_alloc(bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

char *nac_strndup(const char *text, size_t length) {
    if (length == SIZE_MAX) return NULL;
    char *copy = nac_alloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}
