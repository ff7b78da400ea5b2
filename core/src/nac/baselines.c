/* baselines.c - scores that need one image's logits alone, and GradNorm, which needs the classifier's input too. */
#include <math.h>

#include "base/base.h"
#include "nac/select.h"

enum { GEN_M = 100 };
static const double GEN_GAMMA = 0.1;

/* exp(logit - largest) of all classes sum to 1 + others: relative to the largest logit nothing overflows, and with the winner apart the
 * digits of a confident softmax are not lost in 1 - p. */
typedef struct softmax {
    double max, others;
    int winner; /* the first of equals */
} softmax;

static softmax softmax_of(const float *logits, int K) {
    softmax s = {.max = (double)logits[0]};
    for (int k = 1; k < K; ++k)
        if ((double)logits[k] > s.max || isnan(logits[k])) { /* a NaN, once taken, stays: no comparison is true */
            s.max = (double)logits[k];
            s.winner = k;
        }
    for (int k = 0; k < K; ++k)
        if (k != s.winner) s.others += exp((double)logits[k] - s.max);
    if (isnan(s.max)) s.others = NAN; /* of a single class, too */
    return s;
}

/* exp of one class that is not the winner as p^gamma (1 - p)^gamma. */
static double gen_term(double e, double sum) { return pow(e / sum * ((sum - e) / sum), GEN_GAMMA); }

static double gen_of(const float *logits, int K, const softmax *s) {
    const double sum = 1 + s->others;
    double total = pow(s->others / (sum * sum), GEN_GAMMA); /* of the winner: p = 1 / sum, 1 - p = others / sum */
    float kept[GEN_M - 1];
    nac_smallest rest = {.kept = kept, .capacity = GEN_M - 1};
    for (int k = 0; k < K; ++k)
        if (k != s->winner) nac_smallest_offer(&rest, -logits[k]);
    for (int i = 0; i < rest.count; ++i) total += gen_term(exp(-(double)kept[i] - s->max), sum);
    return -total;
}

static double negative_entropy_of(const float *logits, int K, const softmax *s) {
    const double sum = 1 + s->others, log_sum = log1p(s->others);
    double total = -log_sum / sum;
    for (int k = 0; k < K; ++k)
        if (k != s->winner) total += exp((double)logits[k] - s->max) / sum * ((double)logits[k] - s->max - log_sum);
    return total;
}

nac_baselines nac_baselines_compute(const float *logits, int K, float *probabilities) {
    if (!logits || K < 1) return (nac_baselines){NAN, NAN, NAN, NAN, NAN};
    const softmax s = softmax_of(logits, K);
    const double sum = 1 + s.others;
    if (probabilities)
        for (int k = 0; k < K; ++k) probabilities[k] = (float)(exp((double)logits[k] - s.max) / sum);
    return (nac_baselines){
        .msp = (float)(1 / sum),
        .energy = (float)(s.max + log1p(s.others)),
        .max_logit = (float)s.max,
        .entropy = (float)negative_entropy_of(logits, K, &s),
        .gen = (float)gen_of(logits, K, &s),
    };
}

float nac_grad_norm(const float *logits, int K, const float *features, int C) {
    if (!logits || K < 1 || !features || C < 1) return NAN;
    const softmax s = softmax_of(logits, K);
    double p = 0, f = 0;
    for (int k = 0; k < K; ++k) p += fabs(exp((double)logits[k] - s.max) / (1 + s.others) - 1.0 / K);
    for (int c = 0; c < C; ++c) f += fabs((double)features[c]);
    return (float)(p * f);
}
