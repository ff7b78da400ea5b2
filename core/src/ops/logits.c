/* logits.c - the root of every gradient. */
#include "ops/common.h"

/* logits [N,K] -> [N,K]: d/dl of -(1/K) sum_k log softmax(l)_k, which is softmax(l) - 1/K (paper, equation 4: the KL
 * divergence from the uniform distribution). From exp(l - max) straight, never through log(p + eps), which loses the gradient
 * of a confident network. The loss is summed over the batch, so no division by N. */
void nac_run_LOGITS_GRAD(const nac_graph *graph, const nac_node *node) {
    const nac_shape *shape = &graph->values[node->inputs[0]].shape;
    const int K = shape->dims[shape->rank - 1], N = (int)(nac_elements(shape) / (size_t)K);
    const float *logits = nac_data(graph, node->inputs[0]);
    float *dlogits = nac_data(graph, node->output);
    for (int n = 0; n < N; ++n, logits += K, dlogits += K) {
        float max = logits[0];
        for (int k = 1; k < K; ++k) max = logits[k] > max ? logits[k] : max;
        double sum = 0;
        for (int k = 0; k < K; ++k) sum += exp((double)logits[k] - (double)max);
        for (int k = 0; k < K; ++k) dlogits[k] = (float)(exp((double)logits[k] - (double)max) / sum - 1.0 / K);
    }
}
