// @ts-check
/**
 * The inside of a worker: one runner, one task at a time. The two hosts' workers differ only in their port.
 *
 * In: the binary, { module }, and pieces of the model, { piece, total }, or neither; { setup }; { sha256 } of the model, where the setup
 * says so; then { id, task }.
 * Out: { spare }, a block whose piece has been copied; { ready } or { failed }, then { id, result } or { id, error }.
 */
import { Engine } from './engine.js';
import { NacError, packError } from './error.js';
import { Runner } from './runner.js';

/**
 * @typedef {object} Port
 * @property {(message: any, transfer?: any[]) => void} post
 * @property {(listener: (message: any) => void) => void} listen
 */

/** What comes in front of the setup: the binary, and the model piece by piece, which goes into the engine's memory as soon as there is one. */
class Prelude {
  /** Why it could not be started is said when it is needed. @type {Promise<Engine | undefined> | undefined} */
  engine;
  /** @type {import('./engine/incoming.js').Incoming | undefined} */
  #incoming;
  /** That are not there. @type {Uint8Array[]} */
  #pieces = [];
  #post;

  /** @param {Port['post']} post */
  constructor(post) {
    this.#post = post;
  }

  /** @param {WebAssembly.Module} module */
  start(module) {
    this.engine = Engine.create(module).catch(() => undefined);
  }

  /** @param {Uint8Array} piece @param {number | null} total bytes of all pieces, where that is known */
  async add(piece, total) {
    this.#pieces.push(piece);
    const engine = await this.engine;
    if (!engine || !total) return;
    try {
      this.#incoming ??= engine.receiveModel(total);
    } catch {
      return; // said of the whole model then
    }
    while (this.#pieces.length > 0 && this.#incoming.add(this.#pieces[0])) {
      const { buffer } = /** @type {Uint8Array} */ (this.#pieces.shift());
      this.#post({ spare: buffer }, [buffer]);
    }
    engine.expectWeights(this.#incoming);
  }

  /** All of the model that has come; nothing of it stays here. */
  take() {
    const incoming = this.#incoming;
    const pieces = this.#pieces.splice(0);
    this.#incoming = undefined;
    if (!incoming || pieces.length === 0) return incoming ?? pieces;
    const bytes = incoming.bytes();
    incoming.close();
    return [bytes, ...pieces];
  }
}

/** @param {Port} port */
export function serve(port) {
  /** @type {Runner | undefined} */
  let runner;
  const prelude = new Prelude(port.post);
  let tellHash = (/** @type {string} */ _digits) => {};
  const hash = /** @type {Promise<string>} */ (new Promise((resolve) => (tellHash = resolve)));

  port.listen(async ({ module, piece, total, setup, sha256, id, task }) => {
    if (module) return prelude.start(module);
    if (piece) return prelude.add(piece, total);
    if (sha256) return tellHash(sha256);
    if (setup) {
      try {
        const engine = await prelude.engine;
        const fed = prelude.take();
        const { model = fed, hashed, ...rest } = setup; // not all of it has come to a worker that was started later
        if (model !== fed && !Array.isArray(fed)) fed.close();
        runner = await Runner.create({ ...rest, model, sha256: hashed ? hash : undefined }, engine);
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
