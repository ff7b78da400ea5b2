/* loops.h - loops of our own, written so that the compiler makes vectors of them: what XNNPACK has no operator for, or only a
 * slower one. They know nothing of XNNPACK.
 *
 * Like the plain loops of ops/ they read and write the `data` of a node's values; unlike those they sum in float32 (in
 * short blocks where the sum is long), and each takes only the cases it is fast for. Element-wise
 * loops may write over an input of the output's shape; no other output overlaps an input. */
#ifndef NAC_LOOPS_H
#define NAC_LOOPS_H

#include "graph/graph.h"

typedef struct nac_loop {
    const char *name;
    void (*run)(const nac_graph *graph, const nac_node *node);
    bool clamps; /* applies the node's min and max itself */
} nac_loop;

/* The loop for this node, or NULL: then the plain loop is as good. */
const nac_loop *nac_loop_find(const nac_graph *graph, const nac_node *node);

/* One a family: each looks at the node and says whether it takes it. */
const nac_loop *nac_loop_find_elementwise(const nac_graph *graph, const nac_node *node); /* loops_elementwise.c */
const nac_loop *nac_loop_find_gradient(const nac_graph *graph, const nac_node *node);    /* loops_gradient.c */
const nac_loop *nac_loop_find_window(const nac_graph *graph, const nac_node *node);      /* loops_window.c */
const nac_loop *nac_loop_find_normalise(const nac_graph *graph, const nac_node *node);   /* loops_normalise.c */
const nac_loop *nac_loop_find_reduce(const nac_graph *graph, const nac_node *node);      /* loops_reduce.c */
const nac_loop *nac_loop_find_copy(const nac_graph *graph, const nac_node *node);        /* loops_copy.c */

/* ---- Pieces that kernels use too ------------------------------------------------------------------- */

/* data[i] = min(max(data[i], low), high), in place. NaN stays. */
void nac_loop_clamp(float *data, size_t count, float low, float high);

/* data[r,n] += row[n]. */
void nac_loop_add_rows(float *data, const float *row, size_t rows, size_t N);

/* Sum of x[i] or, with a y, of x[i] * y[i], in short blocks of float32 (loops_reduce.c). */
double nac_loop_sum(const float *x, const float *y, size_t count);

/* y [N,OH,OW,C] of a depthwise convolution of x [N,H,W,C] with weights w [kh,kw,C] and bias [C], clamped. Any window. */
void nac_loop_depthwise(const float *x, const int x_dims[4], const float *w, const float *bias, const nac_window *window, float low, float high,
                        float *y, const int y_dims[4]);

/* dx [N,H,W,C] of a depthwise convolution with weights w [kh,kw,C]; dy is [N,OH,OW,C]. The window's sides
 * are at most NAC_DEPTHWISE_MAX. */
enum { NAC_DEPTHWISE_MAX = 32 };
void nac_loop_depthwise_gradient(const float *dy, const int dy_dims[4], const float *w, const nac_window *window, float *dx,
                                 const int dx_dims[4]);

/* ---- Windows --------------------------------------------------------------------------------------- */

/* The far padding with which `out` windows just fit: what ceil_mode adds is in it, what floor leaves over isn't. */
static inline int nac_pad_after(int in, int out, int kernel, int stride, int dilation, int pad_before) {
    int needed = (out - 1) * stride + (kernel - 1) * dilation + 1 - in - pad_before;
    return needed > 0 ? needed : 0;
}

/* The valid taps of a window along one axis: those k in [*first, *end) with 0 <= start + k * dilation < size. */
static inline void nac_valid_taps(int start, int kernel, int dilation, int size, int *first, int *end) {
    *first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *end = start >= size ? 0 : (size - 1 - start) / dilation + 1;
    if (*end > kernel) *end = kernel;
    if (*end < *first) *end = *first;
}

#endif
