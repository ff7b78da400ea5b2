/* stb.c - the only file that includes stb_image.h: JPEG's entropy decoding, and inflate for png.c.
 *
 * stb's PNG reader is not built. Its inflate doubles the output buffer as long as the stream asks for more (only
 * STBI_REALLOC_SIZED failing ends that), so a bomb of 1 MB grows to 1 GB whatever the header says; it checks no CRC,
 * reads palette entries that the file never set, and names unknown chunks in a static buffer. png.c does these things with
 * the inflate below, which writes into a block of fixed size. */
#include <string.h>

#include "image/jpeg_kernels.h"

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_SUPPORT_ZLIB
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS NAC_MAX_IMAGE_SIDE

/* Zeroed: stb leaves planes and coefficients unset that no scan of the file touches, and these would be old memory
 * in the picture, different at every run. */
#define STBI_MALLOC(size) nac_alloc_array(1, size)
#define STBI_REALLOC(memory, size) nac_realloc(memory, size)
#define STBI_FREE(memory) nac_free(memory)

/* Strangers' bytes meet checks, never assert. */
#define STBI_ASSERT(condition) ((void)0)

/* The kernels below take the place of stb's, SSE2 ones included. */
#define STBI_NO_SIMD

/* Two of stb's upsamplers are no function pointers. A macro with arguments renames their definitions only, so the places
 * that use the bare name find these. */
static uint8_t *stbi__resample_row_h_2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs) {
    return nac_jpeg_upsample_h2v1(out, near, far, w, hs);
}
static uint8_t *stbi__resample_row_v_2(uint8_t *out, uint8_t *near, uint8_t *far, int w, int hs) {
    return nac_jpeg_upsample_h1v2(out, near, far, w, hs);
}
#define stbi__resample_row_h_2(out, near, far, w, hs) stbi__replaced_h_2(out, near, far, w, hs)
#define stbi__resample_row_v_2(out, near, far, w, hs) stbi__replaced_v_2(out, near, far, w, hs)

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb_image.h>
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

uint8_t *nac_stb_jpeg(const uint8_t *bytes, size_t size, int *width, int *height, const char **reason) {
    *reason = "outofmem";
    stbi__jpeg *jpeg = nac_alloc_array(1, sizeof *jpeg);
    if (!jpeg) return NULL;
    stbi__context context;
    stbi__start_mem(&context, bytes, (int)size);
    jpeg->s = &context;
    jpeg->idct_block_kernel = nac_jpeg_idct;
    jpeg->YCbCr_to_RGB_kernel = nac_jpeg_to_rgb;
    jpeg->resample_row_hv_2_kernel = nac_jpeg_upsample_h2v2;
    stbi__g_failure_reason = NULL; /* thread-local, stb's only state */
    int components;
    uint8_t *rgb = load_jpeg_image(jpeg, width, height, &components, 3);
    nac_free(jpeg);
    *reason = stbi__g_failure_reason;
    /* stb returns the picture so far when a segment after the first scan is broken, with the reason set. */
    if (rgb && *reason) {
        nac_free(rgb);
        return NULL;
    }
    if (!rgb && !*reason) *reason = "corrupt data";
    return rgb;
}

bool nac_stb_inflate(const uint8_t *stream, size_t size, uint8_t *bytes, size_t capacity, size_t *written, bool *full) {
    stbi__zbuf buffer;
    memset(&buffer, 0, sizeof buffer);
    buffer.zbuffer = (stbi_uc *)(uintptr_t)stream; /* read only, but stb's field is not const */
    buffer.zbuffer_end = buffer.zbuffer + size;
    stbi__g_failure_reason = NULL;
    int done = stbi__do_zlib(&buffer, (char *)bytes, (int)capacity, 0, 1);
    *written = (size_t)(buffer.zout - buffer.zout_start);
    *full = !done && stbi__g_failure_reason && strcmp(stbi__g_failure_reason, "output buffer limit") == 0;
    return done || *full;
}
