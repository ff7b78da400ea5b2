// @ts-check
/** Images to states: what profiles, searches and comparisons of models all begin with. */
import { prepareImage } from './detector.js';
import { NacError } from './error.js';
import { nameOf } from './images.js';
import { inOrder } from './pool.js';

/**
 * @typedef {import('./images.js').ImageInput} ImageInput
 * @typedef {{ name: string, neurons: number, pool: import('./engine.js').Pool }} TapShape
 * @typedef {{ taps: TapShape[], logits: Float32Array, z: Float32Array[], g: Float32Array[], dims: number[], input?: Float32Array, hash: bigint }} States
 *   z and g: per tap, [neurons]
 * @typedef {import('./pool.js').Pool | import('./pool.js').Inline} AnyPool
 */

/**
 * States in the images' order. Without onError an image that cannot be read ends it.
 * @template {ImageInput} T
 * @param {import('./host.js').Host} host
 * @param {AnyPool} pool
 * @param {Iterable<T> | AsyncIterable<T>} images
 * @param {{ input?: boolean, signal?: AbortSignal, onError?: (file: string, error: Error) => void, onProgress?: () => void }} [options]
 *   input: what the network saw, too
 * @returns {AsyncGenerator<{ image: T, states: States }, void, undefined>}
 */
export async function* collectStates(host, pool, images, { input = false, signal, onError, onProgress } = {}) {
  const work = async (/** @type {T} */ source) => {
    try {
      const { image, transfer } = await prepareImage(host, source, (bytes) => pool.run({ kind: 'decode', bytes }));
      return { image: source, states: await pool.run({ kind: 'states', image, input, hash: true }, { signal, transfer }) };
    } catch (error) {
      signal?.throwIfAborted();
      if (!onError || !(error instanceof NacError) || error.code === 'CLOSED') throw error;
      onError(nameOf(source), error);
      return null;
    } finally {
      onProgress?.();
    }
  };
  for await (const done of inOrder(images, work, 2 * pool.size)) if (done) yield done;
}
