/* Files that are cut, damaged, forged or of another format: an error with a reason, never a crash and never half an image. */
#include "test_image.h"

static const char *const samples[] = {"rgb8.png",  "rgb16-adam7.png", "palette4-trns-adam7.png", "exif6.png",    "17x9.jpg",
                                      "exif5.jpg", "progressive.jpg", "restart-progressive.jpg", "411.jpg", "cmyk.jpg"};
enum { SAMPLES = sizeof samples / sizeof *samples };

/* The bytes in a block of exactly their size, so that a sanitizer sees a read behind them. */
static nac_status decode(const void *bytes, size_t size, nac_error *error) {
    nac_preprocess preprocess = image_preset("imagenet");
    preprocess.exif = true;
    preprocess.alpha = NAC_ALPHA_WHITE;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    nac_image image = {-5, 0, NULL};
    nac_status status = nac_image_decode(copy, size, &preprocess, &image, error);
    free(copy);
    if (status == NAC_OK) nac_image_free(&image);
    else ENSURE(image.width == -5 && strlen(error->message) > 10);
    return status;
}

static void ensure_refused(const void *bytes, size_t size, nac_status expected, const char *reason) {
    nac_error error = {0};
    nac_status status = decode(bytes, size, &error);
    if (status != expected || !strstr(error.message, reason))
        printf("%s (%s) instead of %s (%s)\n", nac_status_name(status), error.message, nac_status_name(expected), reason);
    ENSURE(status == expected && strstr(error.message, reason));
}

static void test_every_length(void) {
    nac_error error;
    for (int i = 0; i < SAMPLES; ++i) {
        image_file file = image_file_read(samples[i]);
        for (size_t size = 0; size < file.size; ++size) {
            nac_status status = decode(file.bytes, size, &error);
            ENSURE(size < 8 ? status == NAC_MALFORMED || status == NAC_UNSUPPORTED : status == NAC_MALFORMED);
        }
        ENSURE_OK(decode(file.bytes, file.size, &error), &error);
        free(file.bytes);
    }
}

static void test_damaged_bytes(void) {
    uint64_t state = 5;
    nac_error error;
    for (int i = 0; i < SAMPLES; ++i) {
        image_file file = image_file_read(samples[i]);
        uint8_t *copy = malloc(file.size);
        for (int round = 0; round < 1500; ++round) {
            memcpy(copy, file.bytes, file.size);
            /* Half of the time where structure is denser. */
            size_t range = round % 2 ? file.size : file.size < 700 ? file.size : 700;
            for (int n = 1 + round % 4; n > 0; --n) copy[test_random(&state) % range] = (uint8_t)test_random(&state);
            decode(copy, file.size, &error);
        }
        free(copy);
        free(file.bytes);
    }
}

static void test_other_formats(void) {
    static const struct {
        const char *bytes, *name;
    } formats[] = {
        {"GIF89a..........", "GIF"},
        {"RIFF....WEBPVP8 ", "WebP"},
        {"....ftypavif....", "AVIF"},
        {"....ftypheic....", "HEIC"},
        {"....ftypmif1....", "HEIF"},
        {"\xff\x0a..............", "JPEG XL"},
        {"....JXL \x0d\x0a\x87\x0a....", "JPEG XL"},
        {"....jP  \x0d\x0a\x87\x0a....", "JPEG 2000"},
        {"II*.............", "not a JPEG or PNG"},
        {"BM..............", "BMP"},
        {"%PDF-1.7........", "PDF"},
        {"8BPS............", "Photoshop"},
        {"<svg xmlns='....", "SVG"},
        {"\xef\xbb\xbf  <?xml version='1.0'?><!-- drawn --><SVG width='3'>", "SVG"},
        {"<!DOCTYPE html><title>404", "HTML"},
        {"hello, world....", "68 65 6c 6c 6f 2c 20 77"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i)
        ensure_refused(formats[i].bytes, strlen(formats[i].bytes), NAC_UNSUPPORTED, formats[i].name);
    ensure_refused("II*\0............", 16, NAC_UNSUPPORTED, "TIFF");
    ensure_refused("MM\0*............", 16, NAC_UNSUPPORTED, "TIFF");
    ensure_refused("", 0, NAC_MALFORMED, "empty");
}

/* ---- JPEG: a golden file with one thing changed ---- */

/* The first segment with this marker; the markers' segments all have a length. */
static size_t segment(const image_file *file, uint8_t marker) {
    size_t at = 2;
    while (file->bytes[at + 1] != marker) at += 2 + ((size_t)file->bytes[at + 2] << 8 | file->bytes[at + 3]);
    return at;
}

static void test_jpeg(void) {
    image_file file = image_file_read("420.jpg");
    uint8_t *frame = file.bytes + segment(&file, 0xc0);
    const uint8_t side[2] = {frame[5], frame[6]};
    frame[4] = 12;
    ensure_refused(file.bytes, file.size, NAC_UNSUPPORTED, "12 bits");
    frame[4] = 8;
    frame[1] = 0xc9;
    ensure_refused(file.bytes, file.size, NAC_UNSUPPORTED, "arithmetic");
    frame[1] = 0xc0;
    frame[5] = 0xff, frame[7] = 0xff;
    ensure_refused(file.bytes, file.size, NAC_LIMIT_EXCEEDED, "32768");
    frame[5] = 0x70, frame[7] = 0x70;
    ensure_refused(file.bytes, file.size, NAC_LIMIT_EXCEEDED, "100000000");
    frame[5] = 0x20, frame[7] = 0x20; /* 67 megapixels out of 3 KB */
    ensure_refused(file.bytes, file.size, NAC_MALFORMED, "fewer bits than blocks");
    frame[5] = frame[6] = 0;
    ensure_refused(file.bytes, file.size, NAC_UNSUPPORTED, "height after the pixels");
    frame[5] = side[0], frame[6] = side[1], frame[7] = 0;
    frame[10] = frame[13];
    ensure_refused(file.bytes, file.size, NAC_MALFORMED, "same number");
    free(file.bytes);

    file = image_file_read("420.jpg");
    size_t tables = segment(&file, 0xc4);
    file.bytes[tables + 1] = 0xe5; /* one Huffman table becomes an unread APP5 */
    ensure_refused(file.bytes, file.size, NAC_MALFORMED, "Huffman table is missing");
    file.bytes[tables + 1] = 0xc4;
    file.bytes[segment(&file, 0xdb) + 1] = 0xe5;
    ensure_refused(file.bytes, file.size, NAC_MALFORMED, "quantization table is missing");
    free(file.bytes);

    file = image_file_read("restart.jpg");
    size_t last = file.size;
    while (file.bytes[last - 2] != 0xff || (file.bytes[last - 1] & 0xf8) != 0xd0) --last;
    file.bytes[last - 2] = 0x11;
    ensure_refused(file.bytes, file.size, NAC_MALFORMED, "restart markers are missing");
    free(file.bytes);

    file = image_file_read("cmyk.jpg");
    file.bytes[segment(&file, 0xee) + 4] = 'a'; /* adobe: no such marker */
    ensure_refused(file.bytes, file.size, NAC_UNSUPPORTED, "CMYK or YCCK");
    free(file.bytes);

    /* The scan of Y alone: two components never come. */
    file = image_file_read("progressive.jpg");
    size_t scan = segment(&file, 0xda);
    uint8_t cut[64 * 1024];
    memcpy(cut, file.bytes, scan);
    const uint8_t only_y[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd9};
    memcpy(cut + scan, only_y, sizeof only_y);
    ensure_refused(cut, scan + sizeof only_y, NAC_MALFORMED, "component has no data");

    /* A thousand scans of nothing. */
    size_t size = scan;
    for (int i = 0; i < 1000; ++i, size += sizeof only_y - 2) memcpy(cut + size, only_y, sizeof only_y);
    ensure_refused(cut, size + 2, NAC_LIMIT_EXCEEDED, "scans");
    free(file.bytes);
}

/* ---- PNG: chunks written here ---- */

typedef struct builder {
    uint8_t bytes[4096];
    size_t size;
} builder;

static void put32(uint8_t *p, size_t value) {
    for (int i = 0; i < 4; ++i) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void chunk(builder *png, const char *type, const void *data, size_t size) {
    uint8_t *p = png->bytes + png->size;
    put32(p, size);
    memcpy(p + 4, type, 4);
    if (size) memcpy(p + 8, data, size);
    put32(p + 8 + size, image_crc(p + 4, size + 4));
    png->size += size + 12;
}

static builder png_start(size_t width, size_t height, uint8_t depth, uint8_t color) {
    builder png = {"\x89PNG\r\n\x1a\n", 8};
    uint8_t header[13] = {0};
    put32(header, width);
    put32(header + 4, height);
    header[8] = depth, header[9] = color;
    chunk(&png, "IHDR", header, sizeof header);
    return png;
}

/* An IDAT of `size` stored (not compressed) bytes, and the end. */
static void png_end(builder *png, const uint8_t *rows, uint8_t size) {
    uint8_t data[300] = {0x78, 0x01, 1, size, 0, (uint8_t)~size, 0xff};
    memcpy(data + 7, rows, size);
    chunk(png, "IDAT", data, 7u + size + 4u); /* the checksum is not looked at */
    chunk(png, "IEND", NULL, 0);
}

static void test_png(void) {
    const uint8_t rows[64] = {0, 1, 2, 3, 0, 4, 5, 6};
    nac_error error;
    builder png = png_start(3, 2, 8, 0);
    builder start = png;
    png_end(&png, rows, 8);
    ENSURE_OK(decode(png.bytes, png.size, &error), &error);
    ENSURE_OK(decode(png.bytes, sizeof png.bytes, &error), &error); /* what follows the end is not the image's */

    png = start;
    png_end(&png, rows, 64);
    ENSURE_OK(decode(png.bytes, png.size, &error), &error); /* bytes behind the last row: seen in the wild */
    png = start;
    png_end(&png, rows, 7);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "pixels are missing");
    png = start;
    png_end(&png, (uint8_t[8]){9}, 8);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "row filter 9");
    png = start;
    chunk(&png, "ABCD", rows, 3);
    ensure_refused(png.bytes, png.size, NAC_UNSUPPORTED, "ABCD");
    png = start;
    chunk(&png, "IEND", NULL, 0);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "no pixels");
    png = start;
    chunk(&png, "teXt", rows, 3);
    png.bytes[png.size - 1] ^= 1; /* the checksum of what is not used does not matter */
    png_end(&png, rows, 8);
    ENSURE_OK(decode(png.bytes, png.size, &error), &error);
    png.bytes[png.size - 13] ^= 1;
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "checksum of chunk IDAT");

    png = png_start(3, 2, 8, 3);
    start = png;
    png_end(&png, rows, 8);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "no palette");
    png = start;
    chunk(&png, "PLTE", rows, 18);
    png_end(&png, rows, 8);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "not among the palette's 6");
    png = start;
    chunk(&png, "PLTE", rows, 21);
    png_end(&png, rows, 8);
    ENSURE_OK(decode(png.bytes, png.size, &error), &error);

    png = png_start(32769, 1, 8, 0);
    ensure_refused(png.bytes, png.size, NAC_LIMIT_EXCEEDED, "32769");
    png = png_start(20000, 20000, 8, 0);
    ensure_refused(png.bytes, png.size, NAC_LIMIT_EXCEEDED, "20000");
    png = png_start(4294967295u, 4294967295u, 8, 0);
    ensure_refused(png.bytes, png.size, NAC_LIMIT_EXCEEDED, "4294967295");
    png = png_start(0, 3, 8, 0);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "0 x 3");
    png = png_start(3, 3, 4, 2);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "colour type 2 with 4 bits");
    png = png_start(10000, 10000, 8, 6);
    png_end(&png, rows, 8);
    ensure_refused(png.bytes, png.size, NAC_MALFORMED, "too few bytes");
    png = (builder){"\x89PNG\r\n\x1a\n", 8};
    chunk(&png, "CgBI", rows, 4);
    ensure_refused(png.bytes, png.size, NAC_UNSUPPORTED, "Apple");
}

int main(void) {
    RUN(test_every_length);
    RUN(test_damaged_bytes);
    RUN(test_other_formats);
    RUN(test_jpeg);
    RUN(test_png);
    return TEST_RESULT();
}
