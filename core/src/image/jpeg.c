/* jpeg.c - walks a JPEG's segments before stb decodes it.
 *
 * stb is forgiving: it fills what a truncated file lacks with grey, and gives up in silence at a broken segment between two
 * scans. Half an image would get a score like any other, so what can be seen without decoding is refused here: no end
 * marker (Pillow refuses these too), a component that no scan carries, tables that are used and not defined, missing restart
 * markers, scans with fewer bits than blocks. The last one also keeps a file of 200 bytes from asking for a gigabyte.
 * Data cut short inside a scan and then closed with an end marker is not noticed; libjpeg only warns about it. */
#include <string.h>

#include "image/image.h"

enum {
    SOF0 = 0xc0, /* baseline */
    SOF2 = 0xc2, /* progressive */
    DHT = 0xc4,
    JPG = 0xc8,
    DAC = 0xcc,
    SOF15 = 0xcf,
    RST0 = 0xd0,
    RST7 = 0xd7,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DNL = 0xdc,
    DRI = 0xdd,
    APP0 = 0xe0,
    APP1 = 0xe1,
    APP14 = 0xee,
    APP15 = 0xef,
    COM = 0xfe,
};

typedef struct component {
    int id, h, v, quantization;
    bool carried; /* a scan has brought its DC values */
} component;

typedef struct frame {
    int width, height, count; /* count 0: no SOF yet */
    bool progressive;
    component component[4];
    int h_max, v_max;
    int restart_interval; /* MCUs, 0: none */
    int scans;
    unsigned quantization, dc, ac; /* bit i: table i is defined */
    bool jfif;
    int adobe; /* APP14's colour transform, -1: none */
    int orientation;
} frame;

static int read16(const uint8_t *p) { return p[0] << 8 | p[1]; }

static nac_status broken(nac_error *error, const char *what) { return nac_fail(error, NAC_MALFORMED, "broken JPEG: %s", what); }

static nac_status read_frame(frame *f, int marker, const uint8_t *p, int size, nac_error *error) {
    if (f->count) return broken(error, "two frame headers");
    if (size < 6) return broken(error, "the frame header is too short");
    if (p[0] != 8) return nac_fail(error, NAC_UNSUPPORTED, "JPEG with %d bits a sample; 8 are read", p[0]);
    f->height = read16(p + 1), f->width = read16(p + 3);
    int count = p[5];
    if (size != 6 + 3 * count) return broken(error, "the frame header has a wrong length");
    if (f->height == 0) return nac_fail(error, NAC_UNSUPPORTED, "JPEG that states its height after the pixels");
    NAC_TRY(nac_image_check_size("the JPEG", f->width, f->height, error));
    if (count != 1 && count != 3 && count != 4)
        return nac_fail(error, NAC_UNSUPPORTED, "JPEG with %d components; 1, 3 and 4 are read", count);
    f->h_max = f->v_max = 1;
    for (int i = 0; i < count; ++i) {
        const uint8_t *q = p + 6 + 3 * i;
        component *c = &f->component[i];
        *c = (component){q[0], q[1] >> 4, q[1] & 15, q[2], false};
        if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4) return broken(error, "sampling factors are 1 to 4");
        if (c->quantization > 3) return broken(error, "quantization tables are 0 to 3");
        for (int j = 0; j < i; ++j)
            if (f->component[j].id == c->id) return broken(error, "two components have the same number");
        if (c->h > f->h_max) f->h_max = c->h;
        if (c->v > f->v_max) f->v_max = c->v;
    }
    for (int i = 0; i < count; ++i)
        if (f->h_max % f->component[i].h || f->v_max % f->component[i].v)
            return nac_fail(error, NAC_UNSUPPORTED, "JPEG whose chroma is sampled at a fraction of the luma (%d x %d to %d x %d)",
                            f->h_max, f->v_max, f->component[i].h, f->component[i].v);
    f->progressive = marker == SOF2;
    f->count = count;
    return NAC_OK;
}

/* Where stb would guess other colours than libjpeg. */
static nac_status check_color(const frame *f, nac_error *error) {
    const component *c = f->component;
    if (f->count == 4 && f->adobe != 0 && f->adobe != 2)
        return nac_fail(error, NAC_UNSUPPORTED, "four-component JPEG that does not say (Adobe marker) whether it is CMYK or YCCK");
    if (f->count == 3 && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B' && (f->jfif || f->adobe == 1))
        return nac_fail(error, NAC_UNSUPPORTED, "JPEG that calls its components both RGB and YCbCr");
    return NAC_OK;
}

static nac_status read_quantization(frame *f, const uint8_t *p, int size, nac_error *error) {
    while (size > 0) {
        int length = 1 + (p[0] >> 4 ? 128 : 64);
        if (p[0] >> 4 > 1 || (p[0] & 15) > 3 || length > size) return broken(error, "a quantization table is wrong");
        f->quantization |= 1u << (p[0] & 15);
        p += length, size -= length;
    }
    return NAC_OK;
}

static nac_status read_huffman(frame *f, const uint8_t *p, int size, nac_error *error) {
    while (size > 0) {
        if (size < 17 || p[0] >> 4 > 1 || (p[0] & 15) > 3) return broken(error, "a Huffman table is wrong");
        int codes = 0;
        for (int i = 1; i <= 16; ++i) codes += p[i];
        if (codes > 256 || 17 + codes > size) return broken(error, "a Huffman table is wrong");
        *(p[0] >> 4 ? &f->ac : &f->dc) |= 1u << (p[0] & 15);
        p += 17 + codes, size -= 17 + codes;
    }
    return NAC_OK;
}

static void read_application(frame *f, int marker, const uint8_t *p, int size) {
    if (marker == APP0 && size >= 5 && memcmp(p, "JFIF\0", 5) == 0) f->jfif = true;
    if (marker == APP14 && size >= 12 && memcmp(p, "Adobe\0", 6) == 0) f->adobe = p[11];
    if (marker == APP1 && size >= 6 && memcmp(p, "Exif\0", 5) == 0 && f->orientation == 1)
        f->orientation = nac_exif_orientation(p + 6, (size_t)size - 6);
}

static int divide_up(int a, int b) { return (a + b - 1) / b; }

/* Reads a scan's header, finds the end of its data (*at is moved to the next marker) and compares the data with what the
 * header needs. p, size: the header; bytes, end, at: the file and where the data starts. */
static nac_status read_scan(frame *f, const uint8_t *p, int size, const uint8_t *bytes, size_t end, size_t *at, nac_error *error) {
    if (!f->count) return broken(error, "a scan before the frame header");
    /* Encoders write about ten; every scan costs a walk over all blocks, so thousands of empty ones would hang the reader. */
    if (++f->scans > NAC_MAX_JPEG_SCANS) return nac_fail(error, NAC_LIMIT_EXCEEDED, "JPEG with more than %d scans", NAC_MAX_JPEG_SCANS);
    int count = size > 0 ? p[0] : 0;
    if (count < 1 || count > f->count || size != 4 + 2 * count) return broken(error, "a scan header is wrong");
    int first = p[1 + 2 * count], high = p[3 + 2 * count] >> 4;
    /* The scan that brings a component's DC values for the first time: the only one that must have bits for each block. */
    bool brings = !f->progressive || (first == 0 && high == 0);
    int64_t mcus = 0, blocks_per_mcu = 0;
    unsigned used = 0;
    for (int i = 0; i < count; ++i) {
        int which = 0, tables = p[2 + 2 * i];
        while (which < f->count && f->component[which].id != p[1 + 2 * i]) ++which;
        if (which == f->count || used & 1u << which) return broken(error, "a scan names a wrong component");
        used |= 1u << which;
        component *c = &f->component[which];
        if (!(f->quantization >> c->quantization & 1)) return broken(error, "a quantization table is missing");
        bool dc = brings, ac = !f->progressive || first > 0;
        if (tables >> 4 > 3 || (tables & 15) > 3 || (dc && !(f->dc >> (tables >> 4) & 1)) || (ac && !(f->ac >> (tables & 15) & 1)))
            return broken(error, "a Huffman table is missing");
        c->carried |= brings;
        blocks_per_mcu += c->h * c->v;
        if (count == 1) { /* a component alone has no blocks that only fill up MCUs */
            mcus = (int64_t)divide_up(divide_up(f->width * c->h, f->h_max), 8) * divide_up(divide_up(f->height * c->v, f->v_max), 8);
            blocks_per_mcu = 1;
        }
    }
    if (count > 1) mcus = (int64_t)divide_up(f->width, 8 * f->h_max) * divide_up(f->height, 8 * f->v_max);

    size_t start = *at;
    int64_t restarts = 0;
    for (;;) {
        const uint8_t *found = *at < end ? memchr(bytes + *at, 0xff, end - *at) : NULL;
        if (!found || (size_t)(found - bytes) + 1 >= end) return broken(error, "it is truncated inside a scan");
        *at = (size_t)(found - bytes) + 1;
        uint8_t next = bytes[*at];
        if (next == 0) continue;
        if (next == 0xff) continue; /* a fill byte: the marker's own 0xff comes next */
        if (next < RST0 || next > RST7) break;
        ++restarts;
    }
    --*at; /* back on the marker's 0xff */
    int64_t bits = brings ? mcus * blocks_per_mcu * (f->progressive ? 1 : 2) : 0; /* every Huffman code has one bit at least */
    if ((int64_t)(*at - start) * 8 < bits) return broken(error, "a scan has fewer bits than blocks: pixels are missing");
    int64_t expected = f->restart_interval ? (mcus - 1) / f->restart_interval : 0;
    if (restarts < expected) return broken(error, "restart markers are missing: part of the image is lost");
    if (restarts > expected + 1) return broken(error, "there are more restart markers than the image needs");
    return NAC_OK;
}

static nac_status read_segment(frame *f, int marker, const uint8_t *p, int size, nac_error *error) {
    if (marker == SOF0 || marker == SOF0 + 1 || marker == SOF2) return read_frame(f, marker, p, size, error);
    if (marker == DHT) return read_huffman(f, p, size, error);
    if (marker == DQT) return read_quantization(f, p, size, error);
    if (marker == DRI) {
        if (size != 2) return broken(error, "the restart interval is wrong");
        f->restart_interval = read16(p);
        return NAC_OK;
    }
    if (marker == COM) return NAC_OK;
    if (marker == DNL && f->count) return size == 2 && read16(p) == f->height ? NAC_OK : broken(error, "it states two heights");
    if (marker >= APP0 && marker <= APP15) {
        read_application(f, marker, p, size);
        return NAC_OK;
    }
    if (marker == DAC || (marker > SOF2 && marker <= SOF15 && marker != JPG))
        return nac_fail(error, NAC_UNSUPPORTED, "JPEG coded as lossless, hierarchical or arithmetic (marker ff%02x)", (unsigned)marker);
    return nac_fail(error, NAC_MALFORMED, "broken JPEG: unexpected marker ff%02x", (unsigned)marker);
}

static nac_status walk(const uint8_t *bytes, size_t size, frame *f, nac_error *error) {
    size_t at = 2; /* behind SOI */
    for (;;) {
        /* Some cameras pad before the frame header; stb and libjpeg skip that. Later it means lost data. */
        while (!f->count && at < size && bytes[at] != 0xff) ++at;
        if (at < size && bytes[at] != 0xff) return broken(error, "a marker is missing between two segments");
        while (at < size && bytes[at] == 0xff) ++at;
        if (at >= size) return broken(error, "it is truncated: the end marker is missing");
        int marker = bytes[at++];
        if (marker == EOI) break;
        if (marker == 0 && !f->count) continue;
        if (size - at < 2) return broken(error, "it is truncated inside a segment");
        int length = read16(bytes + at);
        if (length < 2) return broken(error, "a segment is shorter than its length field");
        if ((size_t)length > size - at) return broken(error, "it is truncated inside a segment");
        const uint8_t *payload = bytes + at + 2;
        at += (size_t)length;
        NAC_TRY(marker == SOS ? read_scan(f, payload, length - 2, bytes, size, &at, error)
                              : read_segment(f, marker, payload, length - 2, error));
    }
    if (!f->count) return broken(error, "it has no frame header");
    for (int i = 0; i < f->count; ++i)
        if (!f->component[i].carried) return broken(error, "a colour component has no data");
    return check_color(f, error);
}

nac_status nac_jpeg_decode(const uint8_t *bytes, size_t size, nac_image *image, int *orientation, nac_error *error) {
    frame f = {.adobe = -1, .orientation = 1};
    NAC_TRY(walk(bytes, size, &f, error));
    nac_image decoded;
    const char *reason;
    decoded.rgb = nac_stb_jpeg(bytes, size, &decoded.width, &decoded.height, &reason);
    if (!decoded.rgb) {
        if (strcmp(reason, "outofmem") == 0) return nac_out_of_memory(error, "a JPEG's pixels");
        return broken(error, reason);
    }
    if (decoded.width != f.width || decoded.height != f.height) {
        nac_image_free(&decoded);
        return broken(error, "its size is ambiguous");
    }
    *image = decoded;
    *orientation = f.orientation;
    return NAC_OK;
}
