/* baselines.c - scores that need the logits alone. */
#include <math.h>

#include "base/base.h"

/* Everything is relative to the largest logit, so that exp can neither overflow nor lose the winner. */
nac_baselines nac_baselines_compute(const float *logits, int K, float *probabilities) {
    if (!logits || K < 1) return (nac_baselines){NAN, NAN, NAN};
    float max = logits[0];
    for (int k = 1; k < K; ++k)
        if (logits[k] > max || isnan(logits[k])) max = logits[k]; /* a NaN, once taken, stays: no comparison is true */
    double sum = 0;
    for (int k = 0; k < K; ++k) sum += exp((double)logits[k] - (double)max);
    if (probabilities)
        for (int k = 0; k < K; ++k) probabilities[k] = (float)(exp((double)logits[k] - (double)max) / sum);
    return (nac_baselines){
        .msp = (float)(1.0 / sum),
        .energy = (float)((double)max + log(sum)),
        .max_logit = max,
    };
}
