// @ts-check
/** Numbers about scores: baselines of one image, metrics of two sets. */

/** @typedef {import('./heap.js').Heap} Heap */
/** @typedef {{ auroc: number, fpr95: number, fpr95IdPositive: number, auprIn: number, auprOut: number }} Metrics */

/**
 * Of one image's logits, all high = in-distribution; what each is, nac.h says. entropy and gen are the negative ones.
 * @param {Heap} heap
 * @param {Float32Array} logits
 */
export function baselines(heap, logits) {
  return heap.borrow((lend) => {
    const K = logits.length;
    const probabilities = lend.alloc(4 * K);
    const scores = lend.alloc(20);
    heap.exports.nacw_baselines(lend.copy(logits), K, probabilities, scores);
    const [msp, energy, maxLogit, entropy, gen] = heap.f32(scores, 5);
    return { msp, energy, maxLogit, entropy, gen, probabilities: heap.f32(probabilities, K).slice() };
  });
}

/**
 * GradNorm of one image, high = in-distribution.
 * @param {Heap} heap
 * @param {Float32Array} logits
 * @param {Float32Array} features the classifier's input
 * @returns {number}
 */
export function gradNorm(heap, logits, features) {
  return heap.borrow((lend) => heap.exports.nac_grad_norm(lend.copy(logits), logits.length, lend.copy(features), features.length));
}

/**
 * @param {Heap} heap
 * @param {Float32Array} id scores of in-distribution images
 * @param {Float32Array} ood scores of the others
 * @returns {Metrics}
 */
export function metrics(heap, id, ood) {
  return heap.borrow((lend) => {
    const cells = lend.alloc(40);
    heap.call('nac_metrics_compute', lend.copy(id), id.length, lend.copy(ood), ood.length, cells);
    return readMetrics(heap, cells);
  });
}

/**
 * The central 95 % of every metric over resampled images.
 * @param {Heap} heap
 * @param {Float32Array} id
 * @param {Float32Array} ood
 * @param {{ rounds?: number, seed?: number }} [options]
 * @returns {{ low: Metrics, high: Metrics }}
 */
export function bootstrap(heap, id, ood, { rounds = 1000, seed = 0 } = {}) {
  return heap.borrow((lend) => {
    const low = lend.alloc(40);
    const high = lend.alloc(40);
    heap.call('nac_metrics_bootstrap', lend.copy(id), id.length, lend.copy(ood), ood.length, rounds, BigInt(seed), low, high);
    return { low: readMetrics(heap, low), high: readMetrics(heap, high) };
  });
}

/** @param {Heap} heap @param {number} address of a nac_metrics, which is five doubles
 * @returns {Metrics}
 */
function readMetrics(heap, address) {
  const [auroc, fpr95, fpr95IdPositive, auprIn, auprOut] = heap.f64(address, 5);
  return { auroc, fpr95, fpr95IdPositive, auprIn, auprOut };
}
