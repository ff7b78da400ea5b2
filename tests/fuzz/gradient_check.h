/* gradient_check.h - the backward pass of a whole network against finite differences of its forward pass. Backends that agree node by
 * node can still run a wrong graph of gradients: a share that is not added, a tap that is read too early.
 *
 * At each tap, along a random direction v of its neurons, the slope of the loss is <g, v>. The loss is nudged there, between two
 * nodes, and read behind the last. Rectifiers have corners and float32 has noise, so a slope counts only where
 *   - two step lengths and both sides agree on it, and
 *   - no tensor between the tap and the loss turned a corner on the way. Not even many corners need show in the loss: behind
 *     ReLU(ReLU(x)) half of the elements stand on one, the step up moves some of them and the step down the others, and what they
 *     weigh can be equal by chance.
 * graph_check.h says how many did. That it still sees: with the gradients of several readers not added, a product's gradient times the
 * wrong factor, a difference's without its sign, a maximum's given to the smaller operand, and a mean's not divided, 3000 random networks
 * complain 192, 89, 35, 17 and 84 times. */
#ifndef NAC_FUZZ_GRADIENT_CHECK_H
#define NAC_FUZZ_GRADIENT_CHECK_H

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "graph/session.h"
#include "random_graph.h"

/* Which neuron of a pooled tap element `i` of the tensor belongs to, counted through the batch; -1: to none. *share: its part in it. */
static inline int neuron_of(const nac_session *session, int tap, size_t i, float *share) {
    const nac_value *value = &session->graph.values[session->taps[tap].value];
    const nac_pool pool = session->taps[tap].pool;
    const nac_shape logical = nac_logical_shape(value);
    const int *dims = logical.dims, neurons = nac_session_tap_neurons(session, tap);
    int at[NAC_MAX_RANK] = {0}, physical[NAC_MAX_RANK] = {0};
    for (int axis = value->shape.rank - 1; axis >= 0; --axis) {
        physical[axis] = (int)(i % (size_t)value->shape.dims[axis]);
        i /= (size_t)value->shape.dims[axis];
    }
    const bool moved = value->layout == NAC_CHANNELS_LAST;
    for (int axis = 0; axis < logical.rank; ++axis) at[axis] = physical[!moved || axis == 0 ? axis : axis == 1 ? 3 : axis - 1];
    *share = 1;
    int neuron = 0;
    if (pool == NAC_POOL_NONE) {
        for (int axis = 1; axis < logical.rank; ++axis) neuron = neuron * dims[axis] + at[axis];
    } else if (pool == NAC_POOL_NHWC) {
        neuron = at[3]; /* sums over ONNX's axes 1 and 2 */
    } else {
        if (pool == NAC_POOL_CLS && at[1] != 0) return -1;
        if (pool == NAC_POOL_MEAN && logical.rank > 2) *share = 1 / (float)(logical.rank == 3 ? dims[1] : dims[2] * dims[3]);
        neuron = logical.rank == 4 ? at[1] : at[logical.rank - 1];
    }
    return at[0] * neurons + neuron;
}

/* The loss whose gradient by the logits is p - 1/K: log(sum exp) - mean, over the batch. */
static inline double loss_of(const nac_session *session) {
    const int N = nac_session_batch(session), K = nac_session_classes(session);
    const float *logits = nac_session_logits(session);
    double loss = 0;
    for (int n = 0; n < N; ++n, logits += K) {
        double high = logits[0], sum = 0, mean = 0;
        for (int k = 0; k < K; ++k) high = fmax(high, (double)logits[k]);
        for (int k = 0; k < K; ++k) sum += exp((double)logits[k] - high), mean += (double)logits[k] / K;
        loss += high + log(sum) - mean;
    }
    return loss;
}

/* A forward pass with `step` times the direction added to the tap's tensor. `trace` receives the outputs of all nodes behind, one after
 * another. The loss; NaN when the run fails. */
static inline double nudged_loss(nac_session *session, const float *image, int tap, const float *direction, float step, float *trace) {
    nac_error error;
    int dims[4];
    const int raw = session->taps[tap].value;
    float *input = nac_session_input(session, dims);
    memcpy(input, image, nac_elements(&session->graph.values[session->graph.input].shape) * sizeof(float));
    for (int n = 0, first = session->graph.values[raw].producer; n < session->forward_count; ++n) {
        if (nac_session_run_node(session, n, &error) != NAC_OK) return NAN;
        const nac_value *output = &session->graph.values[session->graph.nodes[n].output];
        const size_t count = nac_elements(&output->shape);
        float *data = output->data;
        for (size_t i = 0; n == first && i < count; ++i) {
            float share;
            const int neuron = neuron_of(session, tap, i, &share);
            if (neuron >= 0) data[i] += step * share * direction[neuron];
        }
        if (n <= first) continue;
        memcpy(trace, data, count * sizeof *trace);
        trace += count;
    }
    return loss_of(session);
}

/* The steps of slope_by, in its length. */
enum { AT_REST, UP, DOWN, HALF_UP, HALF_DOWN, STEPS_TAKEN };

/* Whether a tensor moved as smooth functions do. In what the steps up and down did to an element, the even part of a curve grows with
 * the square of the step and the odd part with the step; a corner's even part grows with the step, too. A gradient that is summed over
 * many elements is small beside theirs, hence so little. */
static inline bool smooth(const float *const steps[STEPS_TAKEN], size_t count) {
    double bent = 0, moved = 0;
    for (size_t i = 0; i < count; ++i) {
        const double rest = (double)steps[AT_REST][i], up = (double)steps[UP][i] - rest, down = (double)steps[DOWN][i] - rest;
        const double half_up = (double)steps[HALF_UP][i] - rest, half_down = (double)steps[HALF_DOWN][i] - rest;
        bent += fabs(up + down - 4 * (half_up + half_down)) + fabs(up - down - 2 * (half_up - half_down));
        moved += fabs(up - down);
    }
    return bent <= moved / 512;
}

/* The loss's slope along the direction, by steps of this length; *doubt: how far it may be off, at a corner anywhere. */
static inline double slope_by(nac_session *session, const float *image, int tap, const float *direction, float length, double *doubt) {
    static const float parts[STEPS_TAKEN] = {0, 1, -1, 0.5f, -0.5f};
    const int first = session->graph.values[session->taps[tap].value].producer + 1;
    size_t traced = 0;
    for (int n = first; n < session->forward_count; ++n) traced += nac_elements(&session->graph.values[session->graph.nodes[n].output].shape);
    float *trace = malloc(STEPS_TAKEN * traced * sizeof *trace);
    *doubt = INFINITY;
    if (!trace) return NAN;
    const float *steps[STEPS_TAKEN];
    double loss[STEPS_TAKEN];
    for (size_t i = 0; i < STEPS_TAKEN; ++i) {
        loss[i] = nudged_loss(session, image, tap, direction, parts[i] * length, trace + i * traced);
        steps[i] = trace + i * traced;
    }
    bool curved = true;
    for (int n = first; curved && n < session->forward_count; ++n) {
        const size_t count = nac_elements(&session->graph.values[session->graph.nodes[n].output].shape);
        curved = smooth(steps, count);
        for (size_t i = 0; i < STEPS_TAKEN; ++i) steps[i] += count;
    }
    free(trace);
    const double slope = (loss[UP] - loss[DOWN]) / (2 * (double)length), half = (loss[HALF_UP] - loss[HALF_DOWN]) / (double)length;
    double high = 1; /* of the logits, whose rounding is the noise of the loss */
    for (int k = 0; k < nac_session_batch(session) * nac_session_classes(session); ++k) high = fmax(high, fabs((double)nac_session_logits(session)[k]));
    if (curved) *doubt = fabs(loss[UP] + loss[DOWN] - 2 * loss[AT_REST]) / (double)length + fabs(half - slope) + 32 * FLT_EPSILON * high / (double)length;
    return slope;
}

typedef enum gradient_verdict { GRADIENT_RIGHT, GRADIENT_WRONG, GRADIENT_UNKNOWN } gradient_verdict;

/* The session's backward pass must have run on this image: g is what it left. */
static inline gradient_verdict check_gradient(random_graph *g, nac_session *session, const float *image, int tap, double slopes[2]) {
    static float direction[MAX_ELEMENTS], gradient[MAX_ELEMENTS];
    /* A RESHAPE shares its input's memory, where a nudge would reach that one's readers, too. */
    if (session->graph.nodes[session->graph.values[session->taps[tap].value].producer].op == NAC_OP_RESHAPE) return GRADIENT_UNKNOWN;
    const size_t neurons = nac_elements(&session->graph.values[session->taps[tap].z].shape);
    const float *z = nac_session_tap_z(session, tap);
    double claimed = 0, norm = 0, largest = 0.1;
    memcpy(gradient, nac_session_tap_g(session, tap), neurons * sizeof(float)); /* the runs below take its place */
    for (size_t i = 0; i < neurons; ++i) {
        direction[i] = random_bits(g) & 1 ? 1.0f : -1.0f;
        claimed += (double)direction[i] * (double)gradient[i];
        norm += (double)gradient[i] * (double)gradient[i];
        largest = fmax(largest, fabs((double)z[i]));
    }
    for (int bits = 6; bits <= 12; bits += 2) {
        double doubt;
        const double slope = slope_by(session, image, tap, direction, (float)ldexp(largest, -bits), &doubt);
        if (!(doubt <= 0.05 * fabs(slope))) continue;
        slopes[0] = slope;
        slopes[1] = claimed;
        /* Of the size that the sum has for most directions: what is missing from g would be of it, too. */
        return fabs(slope - claimed) <= 0.15 * fmax(sqrt(norm), fabs(slope)) ? GRADIENT_RIGHT : GRADIENT_WRONG;
    }
    return GRADIENT_UNKNOWN;
}

#endif
