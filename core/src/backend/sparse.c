/* sparse.c - convolutions behind a ReLU: of each pixel the numbers that are not zero, times their rows of the weights.
 *
 * About half of what a ReLU puts out is zero, and so is as much of its gradient. Which half differs from pixel to pixel, so no two pixels share a
 * row; but the sums of 32 output channels fit the registers, and a row of as many weights is loaded as fast as it is multiplied. So every pixel is
 * first written down as a list of its numbers that are not zero, once for all output channels and places of the window, and the lists are then
 * taken past the weights: 66 to 90 GFLOP/s, zeros counted, where products that multiply them too have 46 to 50 of a peak of 55. With a quarter
 * of zeros it is 46 to 61, and without any 36 to 47 (bench/operators.c, its lines with "zeros").
 *
 * The result is the same but for the order of summation (and zero times an infinite weight, which would be NaN). */
#include "backend/convolution.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/simd.h"
#include "backend/sparse_weights.h"

enum {
    GROUP = NAC_SPARSE_GROUP,
    TILE = NAC_SPARSE_TILE,
    BLOCK = NAC_SPARSE_BLOCK,
    ROW = TILE * sizeof(float),
    LISTED = 1 << 17,       /* numbers that are listed at a time, a band of the image: 1 MiB */
    MIN_PIXELS = 16,        /* of an image: fewer don't pay for the gradient's transposed weights */
    MAX_PIXELS_3X3 = 64,    /* of an image, at stride 1, */
    MIN_CHANNELS_3X3 = 128, /* and at stride 2: otherwise Winograd's is better */
    PADDING = 8,            /* one channel in so many may be padding */
    MAX_KERNEL = 16,        /* keeps tables small, */
    MAX_CHANNELS = 1 << 16, /* and this sizes within 32 bits */
};

bool nac_sparse_expects_zeros(const nac_graph *graph, int value) {
    /* Operators that move numbers are looked through, a few of them: the answer costs the same in every graph. */
    for (int steps = 0; steps < 8 && graph->values[value].producer != NAC_NONE; ++steps) {
        const nac_node *node = &graph->nodes[graph->values[value].producer];
        value = node->inputs[0];
        if (node->op == NAC_OP_CLAMP_GRAD || node->min == 0) return true;
        switch (node->op) {
        case NAC_OP_UNARY: return node->u.unary.kind == NAC_UNARY_CLAMP && node->u.unary.a == 0;
        case NAC_OP_BINARY: /* a gate, the smaller of the two */
            if (node->u.binary.kind != NAC_BINARY_MUL) return false;
            if (nac_elements(&graph->values[value].shape) < nac_elements(&graph->values[node->inputs[1]].shape)) value = node->inputs[1];
            break;
        case NAC_OP_RESHAPE:
        case NAC_OP_TRANSPOSE:
        case NAC_OP_SLICE:
        case NAC_OP_CONCAT: /* one stands for all */
            break;
        default: return false;
        }
    }
    return false;
}

/* Whether little of the last tile is padding. */
static bool fill_tiles(int channels) {
    return channels % GROUP == 0 && channels <= MAX_CHANNELS && nac_sparse_padded(channels) * PADDING <= (size_t)channels * (PADDING + 1);
}

/* Measured where Winograd's way has its 70 to 100 GFLOP/s, whatever the numbers: with half of them zero, 7 x 7 pixels and 512 channels 80 instead of
 * 68, for much of a small image's windows is padding, which isn't listed either, and there are fewer weights to fetch; 14 x 14 pixels no more
 * than that; stride 2, 7 x 7 to 28 x 28 outputs 70 to 80 instead of 45 to 58, but with 64 channels 49 instead of 61. */
static bool is_better_than_winograd(const nac_convolution *p) {
    if (p->window.stride_h == 1) return (int64_t)p->OH * p->OW <= MAX_PIXELS_3X3;
    return p->Ci >= MIN_CHANNELS_3X3 && p->Co >= MIN_CHANNELS_3X3;
}

static bool takes(const nac_convolution *p) {
    const nac_window *v = &p->window;
    if (!p->zeros || p->groups != 1 || v->kernel_h > MAX_KERNEL || v->kernel_w > MAX_KERNEL || !fill_tiles(p->Ci) || !fill_tiles(p->Co) ||
        (int64_t)p->OH * p->OW < MIN_PIXELS)
        return false;
    return !nac_winograd.takes(p) || is_better_than_winograd(p);
}

/* ---- One axis --------------------------------------------------------------------------------------- */

/* Which pixel each place of the window brings to each that is made. */
typedef struct axis {
    int read, made, kernel;
    int stride, dilation, pad; /* of the forward convolution */
    bool backward;
    int *sources;              /* [kernel, made]: a pixel that is read, or -1 */
    int *first, *last;         /* [made]: the first and last place that brings something, or -1 */
    int *wanted;               /* [read]: whether anything is made of it */
} axis;

static size_t axis_size(const axis *a) { return (size_t)a->made * (size_t)(a->kernel + 2) + (size_t)a->read; }

/* At most so many pixels are read for `made` neighbours, of a stretch of so many. */
static int stretch_of(const axis *a, int made) {
    const int window = (a->kernel - 1) * a->dilation;
    const int stretch = a->backward ? (made - 1 + window) / a->stride + 2 : (made - 1) * a->stride + window + 1;
    return stretch < a->read ? stretch : a->read;
}
static int most_read(const axis *a, int made) {
    const int stretch = stretch_of(a, made), all = made * a->kernel;
    return stretch < all ? stretch : all;
}

/* Fills the tables, in memory of axis_size ints, and returns what is behind them. */
static int *fill_axis(axis *a, int *memory) {
    const size_t made = (size_t)a->made;
    a->sources = memory;
    a->first = a->sources + (size_t)a->kernel * made;
    a->last = a->first + made;
    a->wanted = a->last + made;
    memset(a->wanted, 0, (size_t)a->read * sizeof(int));
    for (int i = 0; i < a->made; ++i) {
        a->first[i] = a->last[i] = -1;
        for (int k = 0; k < a->kernel; ++k) {
            const int at = a->backward ? i + a->pad - k * a->dilation : i * a->stride + k * a->dilation - a->pad;
            const int source = a->backward ? (at % a->stride == 0 ? at / a->stride : -1) : at;
            const bool inside = at >= 0 && source >= 0 && source < a->read;
            a->sources[(size_t)k * made + (size_t)i] = inside ? source : -1;
            if (!inside) continue;
            if (a->first[i] < 0) a->first[i] = k;
            a->last[i] = k;
            a->wanted[source] = true;
        }
    }
    return a->wanted + a->read;
}

/* ---- Lists ------------------------------------------------------------------------------------------ */

/* A number that is not zero. */
typedef struct entry {
    uint32_t row; /* where its weights lie in the block's panel, in bytes */
    float number;
} entry;

/* Lists x [count] behind `end`, and returns the new end. No more than `count` entries are written, but all of them may be. */
static entry *list_numbers(const float *x, size_t count, entry *end) {
    nac_i4 rows = {0, ROW, 2 * ROW, 3 * ROW};
    for (size_t i = 0; i < count; i += GROUP) {
        const nac_f4 v = nac_load4(x + i);
        const unsigned which = nac_bits4(v != nac_splat4(0));
        const nac_f4 numbers = nac_pack4(v, which), packed = nac_pack4((nac_f4)rows, which);
        nac_store4((float *)end, __builtin_shufflevector(packed, numbers, 0, 4, 1, 5));
        nac_store4((float *)(end + 2), __builtin_shufflevector(packed, numbers, 2, 6, 3, 7));
        end += __builtin_popcount(which);
        rows += 4 * ROW;
    }
    return end;
}

/* ---- Products --------------------------------------------------------------------------------------- */

/* to = sums + each of the list's numbers times its row of the panel, clamped; `sums` and `to` are [TILE].
 *
 * V8 computes the loads of a block of code first and its sums last, so eight loaded vectors and eight sums would want more registers than there
 * are, and one of the sums would go through memory in every round: 20 instead of 44 GFLOP/s. The branch in the middle, which is never taken, makes
 * two blocks of the loop. Not inlined: a small loop that stands in other loops is unrolled, to the same effect. */
NAC_NOT_INLINED static void multiply(const float *panel, const entry *list, const entry *end, const float *sums, nac_f4 low, nac_f4 high, float *to) {
    nac_f4 s0 = nac_load4(sums), s1 = nac_load4(sums + 4), s2 = nac_load4(sums + 8), s3 = nac_load4(sums + 12);
    nac_f4 s4 = nac_load4(sums + 16), s5 = nac_load4(sums + 20), s6 = nac_load4(sums + 24), s7 = nac_load4(sums + 28);
    NAC_NOT_UNROLLED
    for (; list != end; ++list) {
        const float *w = (const float *)((const char *)panel + list->row);
        const nac_f4 v = nac_splat4(list->number);
        s0 = nac_madd4(nac_load4(w), v, s0), s1 = nac_madd4(nac_load4(w + 4), v, s1);
        s2 = nac_madd4(nac_load4(w + 8), v, s2), s3 = nac_madd4(nac_load4(w + 12), v, s3);
        s4 = nac_madd4(nac_load4(w + 16), v, s4);
        if (list->row % ROW) break;
        s5 = nac_madd4(nac_load4(w + 20), v, s5);
        s6 = nac_madd4(nac_load4(w + 24), v, s6), s7 = nac_madd4(nac_load4(w + 28), v, s7);
    }
    nac_store4(to, nac_min4(nac_max4(s0, low), high)), nac_store4(to + 4, nac_min4(nac_max4(s1, low), high));
    nac_store4(to + 8, nac_min4(nac_max4(s2, low), high)), nac_store4(to + 12, nac_min4(nac_max4(s3, low), high));
    nac_store4(to + 16, nac_min4(nac_max4(s4, low), high)), nac_store4(to + 20, nac_min4(nac_max4(s5, low), high));
    nac_store4(to + 24, nac_min4(nac_max4(s6, low), high)), nac_store4(to + 28, nac_min4(nac_max4(s7, low), high));
}

/* The same where the output ends after `width` channels. */
static void multiply_part(const float *panel, const entry *list, const entry *end, size_t width, const float *sums, nac_f4 low, nac_f4 high, float *to) {
    float tile[TILE] = {0};
    memcpy(tile, sums, width * sizeof(float));
    multiply(panel, list, end, tile, low, high, tile);
    memcpy(to, tile, width * sizeof(float));
}

/* ---- Both directions -------------------------------------------------------------------------------- */

typedef struct plan {
    axis y, x;
    size_t K, O;      /* channels that are read and made */
    size_t blocks;    /* of K */
    int band;         /* rows that are made at a time, of the same lists */
    size_t entries, lists;
    float *panel;     /* [BLOCK, TILE] */
    entry *listed;    /* [entries] */
    uint32_t *starts; /* [lists + 1]: a list for each pixel of the rows that a band reads and each block of its channels */
} plan;

/* What is made of an image: bias [O] or NULL. */
typedef struct sink {
    const float *bias;
    float low, high;
    float *to;
} sink;

static size_t entries_of(const plan *s, int band) {
    return (size_t)most_read(&s->y, band) * (size_t)most_read(&s->x, s->x.made) * s->K;
}

static plan make_plan(const nac_convolution *p, bool backward) {
    const nac_window *v = &p->window;
    plan s = {.y = {.read = backward ? p->OH : p->H, .made = backward ? p->H : p->OH, .kernel = v->kernel_h, .stride = v->stride_h,
                    .dilation = v->dilation_h, .pad = v->pad_top, .backward = backward},
              .x = {.read = backward ? p->OW : p->W, .made = backward ? p->W : p->OW, .kernel = v->kernel_w, .stride = v->stride_w,
                    .dilation = v->dilation_w, .pad = v->pad_left, .backward = backward},
              .K = (size_t)(backward ? p->Co : p->Ci), .O = (size_t)(backward ? p->Ci : p->Co), .band = 1};
    while (s.band < s.y.made && entries_of(&s, s.band + 1) <= LISTED) ++s.band;
    s.blocks = (s.K + BLOCK - 1) / BLOCK;
    s.entries = entries_of(&s, s.band);
    s.lists = (size_t)stretch_of(&s.y, s.band) * (size_t)s.x.read * s.blocks;
    return s;
}

static size_t count_scratch(const nac_convolution *p, bool backward) {
    const plan s = make_plan(p, backward);
    return BLOCK * TILE + axis_size(&s.y) + axis_size(&s.x) + 2 * s.entries + s.lists + 1;
}

static void place(plan *s, float *scratch) {
    s->panel = scratch;
    int *behind = fill_axis(&s->x, fill_axis(&s->y, (int *)(scratch + BLOCK * TILE)));
    s->listed = (entry *)behind;
    s->starts = (uint32_t *)(s->listed + s->entries);
}

/* The rows [*from, *to) that rows [y, y + count) are made of. */
static void find_rows(const axis *a, int y, int count, int *from, int *to) {
    *from = a->read, *to = 0;
    for (int i = y; i < y + count; ++i) {
        if (a->first[i] < 0) continue;
        for (int k = a->first[i]; k <= a->last[i]; ++k) {
            const int source = a->sources[k * a->made + i];
            if (source < 0) continue;
            if (source < *from) *from = source;
            if (source >= *to) *to = source + 1;
        }
    }
}

static void list_rows(const plan *s, int from, int to, const float *image) {
    entry *end = s->listed;
    uint32_t *start = s->starts;
    for (int y = from; y < to; ++y)
        for (int x = 0; x < s->x.read; ++x)
            for (size_t k = 0; k < s->K; k += BLOCK) {
                *start++ = (uint32_t)(end - s->listed);
                if (!s->y.wanted[y] || !s->x.wanted[x]) continue;
                end = list_numbers(image + ((size_t)y * (size_t)s->x.read + (size_t)x) * s->K + k, s->K - k < BLOCK ? s->K - k : BLOCK, end);
            }
    *start = (uint32_t)(end - s->listed);
}

/* Pixels that no place of the window brings anything to. */
static void fill_others(const plan *s, int y, int count, const sink *k) {
    const nac_f4 none = {0}, low = nac_splat4(k->low), high = nac_splat4(k->high);
    for (int i = y; i < y + count; ++i)
        for (int j = 0; j < s->x.made; ++j) {
            if (s->y.first[i] >= 0 && s->x.first[j] >= 0) continue;
            float *to = k->to + ((size_t)i * (size_t)s->x.made + (size_t)j) * s->O;
            for (size_t o = 0; o < s->O; o += GROUP) nac_store4(to + o, nac_min4(nac_max4(k->bias ? nac_load4(k->bias + o) : none, low), high));
        }
}

/* Output channels o to o + TILE of rows [y, y + count), from one place of the window and one block of channels; the lists begin with row `from`. */
static void multiply_rows(const plan *s, int y, int count, int from, int ky, int kx, size_t block, size_t o, const float *panel, const sink *k) {
    static const float zeros[TILE];
    const size_t width = s->O - o < TILE ? s->O - o : TILE, columns = (size_t)s->x.made;
    const float *bias = k->bias ? k->bias + o : zeros;
    const nac_f4 none = nac_splat4(-INFINITY), all = nac_splat4(INFINITY), low = nac_splat4(k->low), high = nac_splat4(k->high);
    const int *sources = s->x.sources + (size_t)kx * columns;
    for (int i = y; i < y + count; ++i) {
        const int row = s->y.sources[ky * s->y.made + i];
        if (row < 0) continue;
        const bool first = block == 0 && s->y.first[i] == ky, last = block + 1 == s->blocks && s->y.last[i] == ky;
        const uint32_t *starts = s->starts + (size_t)(row - from) * (size_t)s->x.read * s->blocks + block;
        float *to = k->to + (size_t)i * columns * s->O + o;
        for (size_t j = 0; j < columns; ++j, to += s->O) {
            if (sources[j] < 0) continue;
            const uint32_t *start = starts + (size_t)sources[j] * s->blocks;
            const entry *list = s->listed + start[0], *end = s->listed + start[1];
            const float *sums = first && s->x.first[j] == kx ? bias : to;
            const bool done = last && s->x.last[j] == kx;
            if (width == TILE) multiply(panel, list, end, sums, done ? low : none, done ? high : all, to);
            else multiply_part(panel, list, end, width, sums, done ? low : none, done ? high : all, to);
        }
    }
}

/* One band of an image: rows [y, y + count). */
static void run_band(const nac_convolution *p, const plan *s, int y, int count, const float *weights, const float *image, const sink *k) {
    int from, to;
    find_rows(&s->y, y, count, &from, &to);
    list_rows(s, from, to, image);
    fill_others(s, y, count, k);
    for (size_t o = 0; o < s->O; o += TILE)
        for (size_t tap = 0; tap < (size_t)p->window.kernel_h * (size_t)p->window.kernel_w; ++tap)
            for (size_t block = 0; block < s->blocks; ++block) {
                const size_t first = block * BLOCK, channels = s->K - first < BLOCK ? s->K - first : BLOCK;
                const float *panel = nac_sparse_panel(p, s->y.backward, weights, tap, o, first, channels, s->panel);
                multiply_rows(s, y, count, from, (int)tap / p->window.kernel_w, (int)tap % p->window.kernel_w, block, o, panel, k);
            }
}

static void run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                float *scratch, float *to) {
    plan s = make_plan(p, backward);
    place(&s, scratch);
    for (int n = 0; n < p->N; ++n) {
        const sink k = {bias, low, high, to + (size_t)n * (size_t)s.y.made * (size_t)s.x.made * s.O};
        const float *image = from + (size_t)n * (size_t)s.y.read * (size_t)s.x.read * s.K;
        for (int y = 0; y < s.y.made; y += s.band) run_band(p, &s, y, s.y.made - y < s.band ? s.y.made - y : s.band, weights, image, &k);
    }
}

const nac_algorithm nac_sparse = {"products without zeros", "products without zeros, turned", takes, true, nac_sparse_count_weights, nac_sparse_arrange, count_scratch, run};
