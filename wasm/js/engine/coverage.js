// @ts-check
/** Counts of one layer outside of a profile: for searches over alpha, M and O on states that are kept, and for NAC-ME. */
import { NacError } from '../error.js';
import { Owned } from './heap.js';

/** @typedef {import('./heap.js').Heap} Heap */

export class Coverage extends Owned {
  #edges;

  /**
   * @param {Heap} heap
   * @param {{ neurons: number, alpha: number, M: number, linear?: boolean }} layer linear: NAC-ME's edges
   */
  constructor(heap, { neurons, alpha, M, linear = false }) {
    if (!(neurons >= 1 && M >= 2)) throw new NacError('INVALID_ARGUMENT', `${neurons} neurons and ${M} edges are no layer`);
    const edges = heap.alloc(8 * M);
    let counts;
    try {
      heap.call(linear ? 'nac_bin_edges_linear' : 'nac_bin_edges', M, edges);
      counts = heap.alloc(4 * (M - 1) * neurons);
    } catch (error) {
      heap.free(edges);
      throw error;
    }
    super(heap, counts);
    heap.u32(counts, (M - 1) * neurons).fill(0);
    this.#edges = edges;
    this.neurons = neurons;
    this.alpha = alpha;
    this.M = M;
  }

  /**
   * Counts N images.
   * @param {Float32Array} z [N, neurons]
   * @param {Float32Array} g [N, neurons]
   */
  add(z, g) {
    const N = this.#imagesOf(z, g);
    this.heap.borrow((lend) =>
      this.heap.call('nac_coverage_count', N, this.neurons, lend.copy(z), lend.copy(g), this.alpha, this.M, this.#edges, this.address));
  }

  /**
   * NAC-UE of N images for every O.
   * @param {Float32Array} z [N, neurons]
   * @param {Float32Array} g [N, neurons]
   * @param {number[]} O
   * @returns {Float32Array[]} per O, [N]
   */
  score(z, g, O) {
    const N = this.#imagesOf(z, g);
    return this.heap.borrow((lend) => {
      const scores = lend.alloc(4 * O.length * N);
      const common = [N, this.neurons, lend.copy(z), lend.copy(g), this.alpha, this.M, this.#edges, this.address];
      this.heap.call('nac_coverage_score', ...common, lend.copy(Float64Array.from(O)), O.length, scores);
      return O.map((_, i) => this.heap.f32(scores + 4 * i * N, N).slice());
    });
  }

  /** NAC-ME, of linear edges.
   * @param {number} O
   * @returns {number}
   */
  modelCoverage(O) {
    return this.heap.exports.nac_model_coverage(this.address, this.neurons, this.M, O);
  }

  /** The core trusts array lengths; here is where they are known.
   * @param {Float32Array} z @param {Float32Array} g
   */
  #imagesOf(z, g) {
    const N = z.length / this.neurons;
    if (!Number.isInteger(N) || g.length !== z.length)
      throw new NacError('MISMATCH', `${z.length} and ${g.length} numbers are not states of ${this.neurons} neurons`);
    return N;
  }

  /** @param {number} address @protected */
  release(address) {
    this.heap.free(address);
    this.heap.free(this.#edges);
  }
}
