/* Memory of the image room: every allocation may fail without a leak, and no file makes it take more than its size allows.
 * The allocator here is linked in the place of base/memory.c. */
#include "base/base.h"
#include "test_image.h"

/* A block's size stands before it; 16 bytes keep the alignment. */
static size_t in_use, peak;
static int blocks, until_failure = -1; /* allocations that still succeed; -1: all */

void *nac_alloc(size_t bytes) { return nac_realloc(NULL, bytes); }

void *nac_realloc(void *memory, size_t bytes) {
    if (until_failure == 0) return NULL;
    if (until_failure > 0) --until_failure;
    uint8_t *block = memory ? (uint8_t *)memory - 16 : NULL;
    size_t old = 0;
    if (block) memcpy(&old, block, sizeof old);
    uint8_t *grown = realloc(block, bytes + 16);
    if (!grown) return NULL;
    if (!block) ++blocks;
    memcpy(grown, &bytes, sizeof bytes);
    in_use += bytes - old;
    if (in_use > peak) peak = in_use;
    return grown + 16;
}

void nac_free(void *memory) {
    if (!memory) return;
    uint8_t *block = (uint8_t *)memory - 16;
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    in_use -= bytes;
    --blocks;
    free(block);
}

/* The whole way of one file. */
static nac_status run(const image_file *file, nac_error *error) {
    nac_preprocess preprocess;
    const char json[] = "{\"exif\": \"apply\", \"alpha\": \"white\", \"resize\": {\"shortSide\": 20}, \"filter\": \"bicubic\", \"crop\": [18, 17]}";
    NAC_TRY(nac_preprocess_parse(json, sizeof json - 1, &preprocess, error));
    char text[1024];
    size_t size;
    NAC_TRY(nac_preprocess_write(&preprocess, text, sizeof text, &size, error));
    nac_image image;
    NAC_TRY(nac_image_decode(file->bytes, file->size, &preprocess, &image, error));
    float tensor[18 * 17 * 3];
    nac_status status = nac_image_to_tensor(&image, &preprocess, tensor, error);
    nac_image_free(&image);
    return status;
}

static void test_every_allocation_may_fail(void) {
    static const char *const names[] = {"rgb8.png", "rgba16-adam7.png", "exif6.png", "exif7.jpg", "progressive.jpg", "gray.jpg", "ycck.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        image_file file = image_file_read(names[i]);
        nac_error error;
        int allocations = 0;
        for (;; ++allocations) {
            until_failure = allocations;
            nac_status status = run(&file, &error);
            until_failure = -1;
            ENSURE(blocks == 0 && in_use == 0);
            if (status == NAC_OK) break;
            if (status != NAC_OUT_OF_MEMORY) printf("%s, allocation %d: %s\n", names[i], allocations, error.message);
            ENSURE(status == NAC_OUT_OF_MEMORY);
        }
        ENSURE(allocations > 5);
        free(file.bytes);
    }
}

static void put32(uint8_t *p, size_t value) {
    for (int i = 0; i < 4; ++i) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint8_t *chunk(uint8_t *p, const char *type, const void *data, size_t size) {
    put32(p, size);
    memcpy(p + 4, type, 4);
    if (size) memcpy(p + 8, data, size);
    put32(p + 8 + size, image_crc(p + 4, size + 4));
    return p + size + 12;
}

/* 16 x 16 pixels by the header, 40 MB in the stream: one literal, then matches of 258 bytes in 13 bits each. */
static void test_deflate_bomb(void) {
    enum { MATCHES = 160000 };
    size_t capacity = MATCHES * 13 / 8 + 64, at = 0;
    uint8_t *stream = calloc(capacity, 1), *png = calloc(capacity + 200, 1);
    stream[0] = 0x78, stream[1] = 0x01;
    at = 16;
#define BIT(value) (stream[at >> 3] |= (uint8_t)((value) << (at & 7)), ++at)
    BIT(1), BIT(1), BIT(0);                                                 /* last block, fixed codes */
    for (int i = 7; i >= 0; --i) BIT(0x30 >> i & 1);                        /* literal 0 */
    for (int match = 0; match < MATCHES; ++match) {
        for (int i = 7; i >= 0; --i) BIT(0xc5 >> i & 1); /* length 258 */
        for (int i = 0; i < 5; ++i) BIT(0);              /* distance 1 */
    }
    for (int i = 0; i < 7; ++i) BIT(0); /* end of block */
#undef BIT
    uint8_t header[13] = {0, 0, 0, 16, 0, 0, 0, 16, 8, 2};
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    uint8_t *end = chunk(png + 8, "IHDR", header, sizeof header);
    end = chunk(end, "IDAT", stream, at / 8 + 5);
    end = chunk(end, "IEND", NULL, 0);
    image_file file = {png, (size_t)(end - png)};
    peak = 0;
    nac_error error;
    ENSURE_OK(run(&file, &error), &error); /* 16 x 16 black pixels; the rest is never unpacked */
    ENSURE(peak < 200000);
    free(stream);
    free(png);
}

/* Files of a few hundred bytes that claim 64 megapixels. */
static void test_forged_sizes(void) {
    static const char *const names[] = {"8x8.jpg", "gray.jpg", "rgb8.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        image_file file = image_file_read(names[i]);
        if (i < 2) {
            size_t at = 2;
            while (file.bytes[at + 1] != 0xc0) at += 2 + ((size_t)file.bytes[at + 2] << 8 | file.bytes[at + 3]);
            file.bytes[at + 5] = file.bytes[at + 7] = 0x1f;
        } else {
            file.bytes[18] = file.bytes[22] = 0x1f;
            put32(file.bytes + 29, image_crc(file.bytes + 12, 17));
        }
        peak = 0;
        nac_error error;
        ENSURE(run(&file, &error) == NAC_MALFORMED && strstr(error.message, "pixels are missing"));
        ENSURE(peak < 100000);
        free(file.bytes);
    }
}

int main(void) {
    RUN(test_every_allocation_may_fail);
    RUN(test_deflate_bomb);
    RUN(test_forged_sizes);
    return TEST_RESULT();
}
