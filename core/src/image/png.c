/* png.c - PNG chunks -> one zlib stream -> inflated rows. png_rows.c makes pixels of them.
 *
 * The header says how many bytes the rows have; no more than that (and 64 KB) is ever inflated, and nothing is allocated when
 * the compressed bytes cannot hold them: deflate packs 1032 bytes into one at best. */
#include <string.h>

#include "image/png.h"

enum { CHUNK_FRAME = 12, SLACK = 65536, DEFLATE_RATIO = 1032 };

typedef struct chunks {
    const uint8_t *data; /* the IDAT chunk's bytes when there is one only */
    size_t data_size;    /* of all IDAT chunks */
    size_t data_count;
    bool end;
} chunks;

static uint32_t read32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static nac_status broken(nac_error *error, const char *what) { return nac_fail(error, NAC_MALFORMED, "broken PNG: %s", what); }

static bool is(const uint8_t *type, const char *name) { return memcmp(type, name, 4) == 0; }

static void make_crc_table(uint32_t table[256]) {
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc(const uint32_t table[256], const uint8_t *bytes, size_t size) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < size; ++i) c = table[(c ^ bytes[i]) & 255] ^ c >> 8;
    return ~c;
}

static nac_status read_header(nac_png *png, const uint8_t *p, size_t size, nac_error *error) {
    if (size != 13) return broken(error, "the header has a wrong length");
    NAC_TRY(nac_image_check_size("the PNG", read32(p), read32(p + 4), error));
    png->width = (int)read32(p), png->height = (int)read32(p + 4);
    png->depth = p[8], png->color = p[9];
    int depths = 0; /* bit i: depth i may stand with this colour type */
    switch (png->color) {
        case NAC_PNG_GRAY: depths = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16, png->samples = 1; break;
        case NAC_PNG_RGB: depths = 1 << 8 | 1 << 16, png->samples = 3; break;
        case NAC_PNG_PALETTE: depths = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8, png->samples = 1; break;
        case NAC_PNG_GRAY_ALPHA: depths = 1 << 8 | 1 << 16, png->samples = 2; break;
        case NAC_PNG_RGB_ALPHA: depths = 1 << 8 | 1 << 16, png->samples = 4; break;
        default: break;
    }
    if (png->depth > 16 || !(depths >> png->depth & 1))
        return nac_fail(error, NAC_MALFORMED, "broken PNG: colour type %d with %d bits a sample", png->color, png->depth);
    if (p[10] != 0 || p[11] != 0 || p[12] > 1)
        return nac_fail(error, NAC_UNSUPPORTED, "PNG with compression %d, filter %d, interlace %d", p[10], p[11], p[12]);
    png->interlaced = p[12] == 1;
    return NAC_OK;
}

static nac_status read_palette(nac_png *png, const uint8_t *p, size_t size, nac_error *error) {
    if (png->color != NAC_PNG_PALETTE) return NAC_OK; /* a suggestion for screens of 256 colours */
    if (png->palette_size || size == 0 || size % 3 || size > 256 * 3) return broken(error, "the palette is wrong");
    png->palette_size = (int)(size / 3);
    for (size_t i = 0; i < size / 3; ++i) {
        memcpy(png->palette[i], p + 3 * i, 3);
        png->palette[i][3] = 255;
    }
    return NAC_OK;
}

static nac_status read_transparency(nac_png *png, const uint8_t *p, size_t size, nac_error *error) {
    if (png->color == NAC_PNG_PALETTE) {
        if (size > (size_t)png->palette_size) return broken(error, "transparency for colours that the palette does not have");
        for (size_t i = 0; i < size; ++i) png->palette[i][3] = p[i];
        return NAC_OK;
    }
    if ((png->color != NAC_PNG_GRAY && png->color != NAC_PNG_RGB) || size != (size_t)png->samples * 2)
        return broken(error, "the transparent colour is wrong");
    png->has_key = true;
    unsigned mask = (1u << png->depth) - 1;
    for (int i = 0; i < png->samples; ++i) png->key[i] = (uint16_t)(((unsigned)p[2 * i] << 8 | p[2 * i + 1]) & mask);
    return NAC_OK;
}

static nac_status read_chunk(nac_png *png, chunks *found, const uint8_t *type, const uint8_t *p, size_t size, int *orientation,
                             nac_error *error) {
    if (is(type, "CgBI")) return nac_fail(error, NAC_UNSUPPORTED, "PNG in Apple's private form (CgBI); convert it to a standard PNG");
    if (is(type, "IHDR") != (png->width == 0)) return broken(error, "the header is not the first chunk, or not the only one");
    if (is(type, "IHDR")) return read_header(png, p, size, error);
    if (is(type, "PLTE")) return found->data_count ? broken(error, "the palette comes late") : read_palette(png, p, size, error);
    if (is(type, "tRNS"))
        return found->data_count ? broken(error, "the transparency comes late") : read_transparency(png, p, size, error);
    if (is(type, "IDAT")) {
        if (png->color == NAC_PNG_PALETTE && !png->palette_size) return broken(error, "it has no palette");
        found->data = p;
        found->data_size += size;
        ++found->data_count;
    } else if (is(type, "IEND")) {
        found->end = true;
    } else if (is(type, "eXIf")) {
        *orientation = nac_exif_orientation(p, size);
    } else if (!(type[0] & 0x20)) {
        return nac_fail(error, NAC_UNSUPPORTED, "PNG with the critical chunk %.4s, which is not known", (const char *)type);
    }
    return NAC_OK;
}

static nac_status walk(nac_png *png, const uint8_t *bytes, size_t size, chunks *found, int *orientation, nac_error *error) {
    uint32_t table[256];
    make_crc_table(table);
    for (size_t at = 8; !found->end;) {
        if (size - at < CHUNK_FRAME) return broken(error, "it is truncated: the end chunk is missing");
        size_t length = read32(bytes + at);
        const uint8_t *type = bytes + at + 4;
        if (length > size - at - CHUNK_FRAME) return broken(error, "it is truncated inside a chunk");
        bool used = !(type[0] & 0x20) || is(type, "tRNS") || is(type, "eXIf");
        if (used && crc(table, type, length + 4) != read32(type + 4 + length))
            return nac_fail(error, NAC_MALFORMED, "broken PNG: the checksum of chunk %.4s is wrong", (const char *)type);
        NAC_TRY(read_chunk(png, found, type, type + 4, length, orientation, error));
        at += CHUNK_FRAME + length;
    }
    return found->data_count ? NAC_OK : broken(error, "it has no pixels");
}

/* The second walk, over a file that the first has found sound. */
static uint8_t *join_data(const uint8_t *bytes, size_t total) {
    uint8_t *joined = nac_alloc(total);
    for (size_t at = 8, to = 0; joined && to < total;) {
        size_t length = read32(bytes + at);
        if (is(bytes + at + 4, "IDAT")) {
            memcpy(joined + to, bytes + at + 8, length);
            to += length;
        }
        at += CHUNK_FRAME + length;
    }
    return joined;
}

static nac_status inflate_rows(const uint8_t *bytes, const chunks *found, size_t needed, uint8_t **rows, nac_error *error) {
    if (needed / DEFLATE_RATIO > found->data_size) return broken(error, "it has too few bytes for its size: pixels are missing");
    uint8_t *joined = found->data_count > 1 ? join_data(bytes, found->data_size) : NULL;
    uint8_t *inflated = nac_alloc(needed + SLACK);
    nac_status status = NAC_OK;
    if (!inflated || (found->data_count > 1 && !joined)) {
        status = nac_out_of_memory(error, "a PNG's pixels");
    } else {
        size_t written;
        bool full;
        if (!nac_stb_inflate(joined ? joined : found->data, found->data_size, inflated, needed + SLACK, &written, &full))
            status = broken(error, "its compressed data is damaged");
        else if (!full && written < needed) /* full: all but the slack is there. Bytes behind the last row harm nobody */
            status = broken(error, "its rows end early: pixels are missing");
    }
    nac_free(joined);
    if (status != NAC_OK) nac_free(inflated);
    else *rows = inflated;
    return status;
}

nac_status nac_png_decode(const uint8_t *bytes, size_t size, nac_alpha alpha, nac_image *image, int *orientation, nac_error *error) {
    nac_png png = {0};
    chunks found = {0};
    NAC_TRY(walk(&png, bytes, size, &found, orientation, error));
    uint8_t *rows = NULL;
    NAC_TRY(inflate_rows(bytes, &found, nac_png_size(&png), &rows, error));
    nac_image decoded = {0};
    nac_status status = nac_image_allocate(png.width, png.height, &decoded, error);
    if (status == NAC_OK) status = nac_png_rows(&png, rows, alpha, decoded.rgb, error);
    nac_free(rows);
    if (status != NAC_OK) nac_image_free(&decoded);
    else *image = decoded;
    return status;
}
