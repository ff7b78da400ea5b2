/* RESHAPE, TRANSPOSE, CONCAT, SLICE and PAD in the XNNPACK backend: every number arrives where the plain loop puts it. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

static void random_dims(int rank, int *dims) {
    for (int i = 0; i < rank; ++i) dims[i] = case_between(0, 3) ? case_between(1, 6) : 1;
    if (case_between(0, 3) == 0) dims[rank - 1] = case_between(8, 40);
}

static void test_transpose(void) {
    for (int i = 0; i < 400; ++i) {
        backend_case c = case_make(NAC_OP_TRANSPOSE);
        int rank = case_between(1, 6), x[6], y[6], *perm = c.node.u.transpose.perm;
        random_dims(rank, x);
        for (int k = 0; k < rank; ++k) perm[k] = k;
        for (int k = rank - 1; k > 0; --k) {
            int other = case_between(0, k), swapped = perm[k];
            perm[k] = perm[other];
            perm[other] = swapped;
        }
        for (int k = 0; k < rank; ++k) y[k] = x[perm[k]];
        case_input(&c, false, rank, x, -1, 1);
        case_check(&c, case_emit(&c, rank, y), 0, 0);
    }
}

static void test_concat(void) {
    for (int i = 0; i < 400; ++i) {
        backend_case c = case_make(NAC_OP_CONCAT);
        int rank = case_between(1, 5), y[6], axis = case_between(0, rank - 1), count = case_between(1, 4), sum = 0;
        random_dims(rank, y);
        c.node.u.concat.axis = axis;
        for (int k = 0; k < count; ++k) {
            y[axis] = case_between(1, 9);
            sum += y[axis];
            case_input(&c, k > 0 && case_between(0, 3) == 0, rank, y, -1, 1);
        }
        y[axis] = sum;
        case_check(&c, case_emit(&c, rank, y), 0, 0);
    }
}

static void test_slice(void) {
    for (int i = 0; i < 400; ++i) {
        backend_case c = case_make(NAC_OP_SLICE);
        int rank = case_between(1, 6), x[6], y[6];
        random_dims(rank, x);
        for (int k = 0; k < rank; ++k) {
            bool whole = case_between(0, 1);
            int start = whole ? 0 : case_between(0, x[k] - 1), step = whole ? 1 : case_between(1, 3), room = (x[k] - 1 - start) / step + 1;
            c.node.u.slice.starts[k] = start;
            c.node.u.slice.steps[k] = step;
            y[k] = whole ? x[k] : case_between(1, room);
        }
        case_input(&c, false, rank, x, -1, 1);
        case_check(&c, case_emit(&c, rank, y), 0, 0);
    }
}

static void test_pad(void) {
    for (int i = 0; i < 400; ++i) {
        backend_case c = case_make(NAC_OP_PAD);
        int rank = case_between(1, 6), x[6], y[6];
        random_dims(rank, x);
        for (int k = 0; k < rank; ++k) {
            bool whole = case_between(0, 1);
            int before = whole ? 0 : case_between(0, 3), step = whole ? 1 : case_between(1, 3);
            c.node.u.pad.before[k] = before;
            c.node.u.pad.steps[k] = step;
            y[k] = before + (x[k] - 1) * step + 1 + (whole ? 0 : case_between(0, 3));
        }
        c.node.u.pad.value = case_between(0, 1) ? 0 : -1.5f;
        case_input(&c, false, rank, x, -1, 1);
        case_check(&c, case_emit(&c, rank, y), 0, 0);
    }
}

/* Where output and input are the same memory, and where they are not. */
static void test_reshape(void) {
    for (int shared = 0; shared < 2; ++shared) {
        backend_case c = case_make(NAC_OP_RESHAPE);
        const int x[2] = {6, 10}, y[3] = {3, 4, 5};
        float *data = case_input(&c, false, 2, x, -1, 1), *copy = case_copy(data, 60);
        int output = case_emit(&c, 3, y);
        if (shared) c.graph.values[output].data = data;
        case_run(&c, output);
        ENSURE(memcmp(c.graph.values[output].data, copy, 60 * sizeof(float)) == 0);
        free(copy);
        case_free(&c);
    }
}

int main(void) {
    RUN(test_transpose);
    RUN(test_concat);
    RUN(test_slice);
    RUN(test_pad);
    RUN(test_reshape);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
