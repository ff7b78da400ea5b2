/* png_rows.c - filtered PNG rows -> RGB8.
 *
 * 16-bit samples become what Pillow's convert("RGB") makes of them: their high byte in colour and beside alpha, but clipped at 255 in
 * gray alone. So nearly every such image is white here too: that is what a network saw in training. */
#include <stdlib.h>
#include <string.h>

#include "image/png.h"

/* One of Adam7's passes, or the whole image: pixels x0 + i * dx, y0 + j * dy. */
typedef struct pass {
    int x0, y0, dx, dy;
} pass;

static const pass adam7[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
static const pass whole = {0, 0, 1, 1};

static int pass_length(int size, int start, int step) { return size > start ? (size - start + step - 1) / step : 0; }

static size_t row_bytes(const nac_png *png, int width) {
    return ((size_t)width * (size_t)png->samples * (size_t)png->depth + 7) / 8;
}

static size_t pass_bytes(const nac_png *png, const pass *p) {
    int w = pass_length(png->width, p->x0, p->dx), h = pass_length(png->height, p->y0, p->dy);
    return w && h ? (row_bytes(png, w) + 1) * (size_t)h : 0;
}

/* At most 8 bytes a pixel for NAC_MAX_IMAGE_PIXELS and a byte a row: below 2^31. */
size_t nac_png_size(const nac_png *png) {
    if (!png->interlaced) return pass_bytes(png, &whole);
    size_t size = 0;
    for (size_t i = 0; i < NAC_COUNT(adam7); ++i) size += pass_bytes(png, &adam7[i]);
    return size;
}

static uint8_t paeth(int left, int up, int corner) {
    int to_left = abs(up - corner), to_up = abs(left - corner), to_corner = abs(left + up - 2 * corner);
    if (to_left <= to_up && to_left <= to_corner) return (uint8_t)left;
    return (uint8_t)(to_up <= to_corner ? up : corner);
}

/* step: bytes between a sample and its left neighbour. above is NULL for the first row, whose upper neighbours are 0. */
/* NOLINTNEXTLINE(misc-no-recursion): once, and no deeper */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t size, size_t step) {
    size_t head = step < size ? step : size;
    switch (filter) {
        case 0: return true;
        case 1:
            for (size_t i = step; i < size; ++i) row[i] = (uint8_t)(row[i] + row[i - step]);
            return true;
        case 2:
            if (above)
                for (size_t i = 0; i < size; ++i) row[i] = (uint8_t)(row[i] + above[i]);
            return true;
        case 3:
            if (!above) {
                for (size_t i = step; i < size; ++i) row[i] = (uint8_t)(row[i] + (row[i - step] >> 1));
                return true;
            }
            for (size_t i = 0; i < head; ++i) row[i] = (uint8_t)(row[i] + (above[i] >> 1));
            for (size_t i = step; i < size; ++i) row[i] = (uint8_t)(row[i] + ((row[i - step] + above[i]) >> 1));
            return true;
        case 4:
            if (!above) return unfilter(1, row, NULL, size, step);
            for (size_t i = 0; i < head; ++i) row[i] = (uint8_t)(row[i] + above[i]);
            for (size_t i = step; i < size; ++i) row[i] = (uint8_t)(row[i] + paeth(row[i - step], above[i], above[i - step]));
            return true;
        default: return false;
    }
}

/* Sample i of an unfiltered row, not scaled. */
static inline unsigned sample(const uint8_t *row, size_t i, int depth) {
    if (depth == 8) return row[i];
    if (depth == 16) return (unsigned)row[2 * i] << 8 | row[2 * i + 1];
    size_t bit = i * (size_t)depth;
    return (unsigned)row[bit >> 3] >> (8 - (size_t)depth - (bit & 7)) & ((1u << depth) - 1);
}

static inline uint8_t to8(unsigned value, int depth, int color) {
    if (depth == 16 && color == NAC_PNG_GRAY) return (uint8_t)(value > 255 ? 255 : value);
    return (uint8_t)(depth == 16 ? value >> 8 : depth == 8 ? value : value * (255u / ((1u << depth) - 1)));
}

/* Pixel i of a row as RGBA. False: a palette index beyond the palette. */
static inline bool read_pixel(const nac_png *png, const uint8_t *row, size_t i, uint8_t rgba[4]) {
    unsigned v[4] = {0};
    size_t samples = (size_t)png->samples;
    for (size_t s = 0; s < samples; ++s) v[s] = sample(row, i * samples + s, png->depth);
    if (png->color == NAC_PNG_PALETTE) {
        if ((int)v[0] >= png->palette_size) return false;
        memcpy(rgba, png->palette[v[0]], 4);
        return true;
    }
    bool gray = samples < 3;
    rgba[0] = to8(v[0], png->depth, png->color);
    rgba[1] = gray ? rgba[0] : to8(v[1], png->depth, png->color);
    rgba[2] = gray ? rgba[0] : to8(v[2], png->depth, png->color);
    rgba[3] = 255;
    if (png->color & 4) rgba[3] = to8(v[samples - 1], png->depth, png->color);
    else if (png->has_key && v[0] == png->key[0] && (gray || (v[1] == png->key[1] && v[2] == png->key[2]))) rgba[3] = 0;
    return true;
}

/* n pixels of a row to out, out + 3 * step, ... */
static bool write_row(const nac_png *png, const uint8_t *row, int n, nac_alpha alpha, uint8_t *out, size_t step) {
    if (png->depth == 8 && png->color == NAC_PNG_RGB && step == 1 && (alpha == NAC_ALPHA_DROP || !png->has_key)) {
        memcpy(out, row, (size_t)n * 3);
        return true;
    }
    unsigned background = nac_alpha_background(alpha);
    for (int i = 0; i < n; ++i, out += 3 * step) {
        uint8_t rgba[4];
        if (!read_pixel(png, row, (size_t)i, rgba)) return false;
        for (int c = 0; c < 3; ++c) out[c] = alpha == NAC_ALPHA_DROP ? rgba[c] : nac_blend(rgba[c], background, rgba[3]);
    }
    return true;
}

static nac_status write_pass(const nac_png *png, const pass *p, uint8_t *rows, nac_alpha alpha, uint8_t *rgb, nac_error *error) {
    int w = pass_length(png->width, p->x0, p->dx), h = pass_length(png->height, p->y0, p->dy);
    if (!w || !h) return NAC_OK;
    size_t size = row_bytes(png, w);
    size_t step = (size_t)png->samples * (size_t)png->depth / 8;
    if (step == 0) step = 1;
    const uint8_t *above = NULL;
    for (int j = 0; j < h; ++j, rows += size + 1) {
        if (!unfilter(rows[0], rows + 1, above, size, step))
            return nac_fail(error, NAC_MALFORMED, "broken PNG: row filter %d", rows[0]);
        above = rows + 1;
        size_t y = (size_t)p->y0 + (size_t)j * (size_t)p->dy;
        if (!write_row(png, above, w, alpha, rgb + (y * (size_t)png->width + (size_t)p->x0) * 3, (size_t)p->dx))
            return nac_fail(error, NAC_MALFORMED, "broken PNG: a pixel's colour is not among the palette's %d", png->palette_size);
    }
    return NAC_OK;
}

nac_status nac_png_rows(const nac_png *png, uint8_t *rows, nac_alpha alpha, uint8_t *rgb, nac_error *error) {
    if (!png->interlaced) return write_pass(png, &whole, rows, alpha, rgb, error);
    for (size_t i = 0; i < NAC_COUNT(adam7); ++i) {
        NAC_TRY(write_pass(png, &adam7[i], rows, alpha, rgb, error));
        rows += pass_bytes(png, &adam7[i]);
    }
    return NAC_OK;
}
