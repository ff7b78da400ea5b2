// @ts-check
/**
 * The inside of a worker: one runner, one task at a time. The two hosts' workers differ only in their port.
 *
 * In: the binary, { module }, and pieces of the model, { piece, total }, or neither; { setup }; { sha256 } of the model, where the setup
 * says so; then { id, task }.
 * Out: { ready } or { failed }, then { id, result } or { id, error }.
 */
import { Engine } from './engine.js';
import { NacError, packError } from './error.js';
import { Runner } from './runner.js';

/**
 * @typedef {object} Port
 * @property {(message: any, transfer?: any[]) => void} post
 * @property {(listener: (message: any) => void) => void} listen
 */

/** @param {Port} port */
export function serve(port) {
  /** @type {Runner | undefined} */
  let runner;
  /** @type {Uint8Array[]} */
  const pieces = [];
  let come = 0;
  /** In front of the setup, where the binary is. @type {Promise<Engine | undefined> | undefined} */
  let engine;
  let tellHash = (/** @type {string} */ _digits) => {};
  const hash = /** @type {Promise<string>} */ (new Promise((resolve) => (tellHash = resolve)));

  port.listen(async ({ module, piece, total, setup, sha256, id, task }) => {
    // Why it could not be started is said when it is needed.
    if (module) return void (engine = Engine.create(module).catch(() => undefined));
    if (piece) {
      pieces.push(piece);
      come += piece.length;
      if (total) (await engine)?.expectModel(come, total);
      return;
    }
    if (sha256) return tellHash(sha256);
    if (setup) {
      try {
        const fed = pieces.splice(0); // not all of them in a worker that was started later: it gets the model whole
        const { model = fed, hashed, ...rest } = setup;
        runner = await Runner.create({ ...rest, model, sha256: hashed ? hash : undefined }, await engine);
        port.post({ ready: runner.describe() });
      } catch (error) {
        port.post({ failed: packError(error) });
      }
      return;
    }
    try {
      const result = await /** @type {Runner} */ (runner).run(task);
      port.post({ id, result }, buffersOf(result));
    } catch (error) {
      // What is no NacError was not foreseen (a trap, a stack that overflows): the heap can be in any state, and this worker is
      // not to be used again.
      const broken = !(error instanceof NacError);
      port.post({ id, broken, error: packError(error) });
    }
  });
}

/**
 * The buffers in a result, which move instead of being copied. All of them are copies made for this result.
 * @param {any} value
 * @param {Set<ArrayBuffer>} [found]
 * @returns {ArrayBuffer[]}
 */
function buffersOf(value, found = new Set()) {
  if (ArrayBuffer.isView(value)) found.add(/** @type {ArrayBuffer} */ (value.buffer));
  else if (value && typeof value === 'object') for (const part of Object.values(value)) buffersOf(part, found);
  return [...found];
}
