/* decode.c - the door for encoded images: names the format, hands JPEG and PNG on, turns the result upright. */
#include <stdio.h>
#include <string.h>

#include "image/image.h"

typedef struct signature {
    const char *name;
    size_t at, size;
    const char *magic;
} signature;

/* Formats that people bring and that are not read here. */
static const signature unsupported[] = {
    {"a GIF", 0, 4, "GIF8"},
    {"a WebP", 8, 4, "WEBP"},
    {"an AVIF", 4, 8, "ftypavif"},
    {"an AVIF", 4, 8, "ftypavis"},
    {"a HEIC", 4, 7, "ftyphei"}, /* heic, heix, heim, heis */
    {"a HEIC", 4, 8, "ftyphevc"},
    {"a HEIF or AVIF", 4, 8, "ftypmif1"},
    {"a HEIF or AVIF", 4, 8, "ftypmsf1"},
    {"a JPEG XL", 0, 2, "\xff\x0a"},
    {"a JPEG XL", 4, 8, "JXL \x0d\x0a\x87\x0a"},
    {"a JPEG 2000", 4, 8, "jP  \x0d\x0a\x87\x0a"},
    {"a JPEG 2000", 0, 4, "\xff\x4f\xff\x51"},
    {"a TIFF", 0, 4, "II*\0"},
    {"a TIFF", 0, 4, "MM\0*"},
    {"a Photoshop document", 0, 4, "8BPS"},
    {"a PDF", 0, 5, "%PDF-"},
    {"an icon (ICO)", 0, 4, "\0\0\1\0"},
    {"a BMP", 0, 2, "BM"},
};

/* SVG and HTML are text: the tag stands behind spaces, a byte order mark, declarations and comments. */
static const char *text_format(const char *bytes, size_t size) {
    size_t at = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < size && (bytes[at] == ' ' || (bytes[at] >= '\t' && bytes[at] <= '\r'))) ++at;
    if (at == size || bytes[at] != '<') return NULL;
    char head[1025];
    size_t length = size - at < sizeof head - 1 ? size - at : sizeof head - 1;
    for (size_t i = 0; i < length; ++i) { /* lower case; a NUL would hide the rest */
        char c = bytes[at + i];
        head[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c ? c : ' ';
    }
    head[length] = 0;
    if (strstr(head, "<html") || strstr(head, "<!doctype html")) return "an HTML page, not an image";
    return strstr(head, "<svg") ? "an SVG" : NULL;
}

static nac_status refuse(const uint8_t *bytes, size_t size, nac_error *error) {
    const char *name = NULL;
    for (size_t i = 0; i < NAC_COUNT(unsupported) && !name; ++i) {
        const signature *s = &unsupported[i];
        if (size >= s->at + s->size && memcmp(bytes + s->at, s->magic, s->size) == 0) name = s->name;
    }
    if (!name) name = text_format((const char *)bytes, size);
    if (name) return nac_fail(error, NAC_UNSUPPORTED, "this is %s; JPEG and PNG are read", name);
    char start[8 * 3 + 1] = "";
    for (size_t i = 0; i < 8 && i < size; ++i) snprintf(start + 3 * i, 4, " %02x", bytes[i]);
    return nac_fail(error, NAC_UNSUPPORTED, "not a JPEG or PNG: the bytes start with%s", start);
}

nac_status nac_image_decode(const void *bytes, size_t size, const nac_preprocess *preprocess, nac_image *image, nac_error *error) {
    if (!bytes || !preprocess || !image) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    if (size == 0) return nac_fail(error, NAC_MALFORMED, "the file is empty");
    if (size > NAC_MAX_IMAGE_BYTES)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "the file has %zu bytes; an image file may have %d", size, NAC_MAX_IMAGE_BYTES);
    const uint8_t *data = bytes;
    nac_image decoded;
    int orientation = 1;
    if (size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
        NAC_TRY(nac_jpeg_decode(data, size, &decoded, &orientation, error));
    else if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        NAC_TRY(nac_png_decode(data, size, preprocess->alpha, &decoded, &orientation, error));
    else
        return refuse(data, size, error);
    nac_status status = preprocess->exif ? nac_image_orient(&decoded, orientation, error) : NAC_OK;
    if (status != NAC_OK) {
        nac_image_free(&decoded);
        return status;
    }
    *image = decoded;
    return NAC_OK;
}
