// @ts-check
/**
 * ViM (Wang, Li, Feng and Zhang, "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022): energy of the logits minus a
 * virtual logit, which is the length of the features' part outside of the principal subspace of in-distribution features, scaled so
 * that in-distribution images have a virtual logit as large as their largest one on average. The origin is where all logits are
 * as small as they can be made, -W^+ b; the subspace has 1000 dimensions of 2048 or more, 512 of 768 or more, otherwise half of them.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** @typedef {{ weight: Float32Array, bias: Float32Array }} Classifier weight [K, C], bias [K] */

export class Vim {
  #origin;
  /** [directions, C], one after another */
  #outside;
  #alpha = 1;

  /**
   * @param {object} from
   * @param {Float32Array[]} from.references features of in-distribution images, more of them than features
   * @param {number[]} from.maxLogits of these
   * @param {Classifier} from.classifier
   */
  static create({ references, maxLogits, classifier }) {
    const C = references[0].length;
    const decompose = (/** @type {Float64Array[]} */ symmetric) => {
      const { realEigenvalues: values, eigenvectorMatrix: vectors } = new EigenvalueDecomposition(new Matrix(/** @type {any} */ (symmetric)), { assumeSymmetric: true });
      // Ascending, as the decomposition of a symmetric matrix leaves them.
      return values.map((value, i) => ({ value, vector: Float64Array.from(vectors.getColumn(i)) }));
    };
    const origin = originOf(classifier, C, decompose);
    const subspace = C >= 2048 ? 1000 : C >= 768 ? 512 : Math.floor(C / 2);
    const outside = decompose(covariance(references, origin)).slice(0, C - subspace);
    const vim = new Vim(origin, outside.map(({ vector }) => vector));
    const mean = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0) / values.length;
    vim.#alpha = mean(maxLogits) / mean(references.map((row) => vim.residual(row)));
    return vim;
  }

  /**
   * @param {Float64Array} origin
   * @param {Float64Array[]} outside
   */
  constructor(origin, outside) {
    this.#origin = origin;
    this.#outside = outside;
  }

  /** Length of the features' part outside of the subspace.
   * @param {Float32Array} features
   */
  residual(features) {
    const centred = this.#origin.map((value, c) => features[c] - value);
    let square = 0;
    for (const direction of this.#outside) square += dot(direction, centred) ** 2;
    return Math.sqrt(square);
  }

  /**
   * High = in-distribution.
   * @param {Float32Array} features
   * @param {number} energy of the same image
   */
  score(features, energy) {
    return energy - this.#alpha * this.residual(features);
  }
}

/** @param {Float64Array} a @param {Float64Array} b */
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += a[i] * b[i];
  return sum;
}

/**
 * -W^+ b = -W^T (W W^T)^+ b.
 * @param {Classifier} classifier
 * @param {number} C
 * @param {(symmetric: Float64Array[]) => { value: number, vector: Float64Array }[]} decompose
 */
function originOf({ weight, bias }, C, decompose) {
  const rows = Array.from(bias, (_, k) => Float64Array.from(weight.subarray(k * C, (k + 1) * C)));
  const parts = decompose(rows.map((row) => Float64Array.from(rows, (other) => dot(row, other))));
  // Directions that rounding alone has made, numpy.linalg.pinv's 1e-15 of the largest singular value as that of a square.
  const smallest = parts[parts.length - 1].value * 1e-15 * bias.length;
  const wide = Float64Array.from(bias);
  const solution = new Float64Array(bias.length);
  for (const { value, vector } of parts)
    if (value > smallest) vector.forEach((v, k) => (solution[k] += (v * dot(vector, wide)) / value));
  const origin = new Float64Array(C);
  rows.forEach((row, k) => row.forEach((w, c) => (origin[c] -= w * solution[k])));
  return origin;
}

/**
 * Of the references about the origin, not about their mean.
 * @param {Float32Array[]} references
 * @param {Float64Array} origin
 */
function covariance(references, origin) {
  const C = origin.length;
  const sums = Array.from({ length: C }, () => new Float64Array(C));
  for (const row of references) {
    const centred = origin.map((value, c) => row[c] - value);
    for (let i = 0; i < C; ++i) {
      const [value, into] = [centred[i], sums[i]];
      for (let j = 0; j <= i; ++j) into[j] += value * centred[j];
    }
  }
  for (let i = 0; i < C; ++i) for (let j = 0; j <= i; ++j) sums[i][j] = sums[j][i] = sums[i][j] / references.length;
  return sums;
}
