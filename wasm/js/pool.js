// @ts-check
/**
 * Workers that do tasks. They are started when there is work for them, up to `size`; a worker that crashes, or takes longer
 * than a task may, takes only the task it had with it, and another is started in its place.
 */
import { NacError, packError, unpackError } from './error.js';

/**
 * @typedef {import('./runner.js').Setup} Setup
 * @typedef {import('./runner.js').Task} Task
 * @typedef {object} HostWorker
 * @property {(message: any, transfer?: any[]) => void} post
 * @property {() => void} close
 * @typedef {(listeners: { message: (message: any) => void, failure: (reason: string) => void }) => HostWorker} CreateWorker
 * @typedef {{ task: Task, transfer: any[], resolve: (result: any) => void, reject: (error: any) => void }} Job
 */

/** Milliseconds that a worker may take for one task, or to start: far more than a slow machine needs, far less than forever. */
export const TIMEOUT = 60000;
// Starts that may crash in a row before it is clear that none will succeed; and where one has succeeded before, so that it is not the model's fault.
const STARTS = 3;
const STARTS_OF_PROVEN = 10;

/** Blocks that are kept for what still comes. */
const SPARES = 4;

/** One worker of the pool, and what it is doing. */
class Member {
  /** @type {Job | null} */
  job = null;
  ready = false;
  /** Bytes of the model that it has already. */
  fed = 0;
  /** @type {HostWorker} */
  worker;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(self: Member) => HostWorker} create */
  constructor(create) {
    this.worker = create(this);
  }

  /**
   * @param {number} milliseconds
   * @param {() => void} late
   */
  watch(milliseconds, late) {
    this.rest();
    // Longer ones than a timer knows are as good as none.
    if (milliseconds < 2 ** 31) this.#timer = setTimeout(late, milliseconds);
  }

  /** Ends the watch. */
  rest() {
    clearTimeout(this.#timer);
  }

  close() {
    this.rest();
    this.worker.close();
  }
}

export class Pool {
  /** @type {Set<Member>} */
  #members = new Set();
  /** @type {Job[]} */
  #queue = [];
  /** @type {Error | null} after which no worker can work */
  #error = null;
  #createWorker;
  #setup;
  #timeout;
  #crashedStarts = 0;
  /** One worker has been ready: the model is not to blame for those that are not. */
  #proven = false;
  /** @type {(info: any) => void} */
  #resolveReady = () => {};
  /** @type {(error: any) => void} */
  #rejectReady = () => {};

  /**
   * @param {CreateWorker} createWorker
   * @param {Setup | Promise<Setup>} setup the first worker is started at once: its scripts come while the model does
   * @param {number} size
   * @param {number} [timeout] milliseconds for one task
   */
  constructor(createWorker, setup, size, timeout = TIMEOUT) {
    this.#createWorker = createWorker;
    this.#setup = setup;
    this.#timeout = timeout;
    this.size = Math.max(1, size);
    /** Blocks that were fed, and that a worker does not need any more. @type {ArrayBuffer[]} */
    this.spares = [];
    /** What the first worker says of the model and the profile, or why it cannot start. */
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => {});
    this.#start();
  }

  /**
   * @param {Task} task
   * @param {{ signal?: AbortSignal, transfer?: any[] }} [options] an aborted task that has begun runs to its end unseen
   * @returns {Promise<any>}
   */
  run(task, { signal, transfer = [] } = {}) {
    if (this.#error) return Promise.reject(this.#error);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#queue = this.#queue.filter((waiting) => waiting !== job);
        reject(signal?.reason);
      };
      const settle = (/** @type {(value: any) => void} */ how) => (/** @type {any} */ value) => {
        signal?.removeEventListener('abort', abort);
        how(value);
      };
      /** @type {Job} */
      const job = { task, transfer, resolve: settle(resolve), reject: settle(reject) };
      signal?.addEventListener('abort', abort);
      this.#queue.push(job);
      this.#hand();
    });
  }

  /** Gives waiting tasks to idle workers, and starts workers while there are more tasks. */
  #hand() {
    for (const member of this.#members) {
      if (this.#queue.length === 0) return;
      if (!member.ready || member.job) continue;
      const job = /** @type {Job} */ (this.#queue.shift());
      member.job = job;
      try {
        member.worker.post({ id: 0, task: job.task }, job.transfer);
        this.#watch(member, 'an image took longer than');
      } catch (error) {
        member.job = null;
        job.reject(error);
      }
    }
    const starting = [...this.#members].filter((member) => !member.ready).length;
    if (this.#queue.length > starting && this.#members.size < this.size) this.#start();
  }

  /** The binary, in front of the setup, for the worker that starts: its engine makes room for the model while that comes.
   * @param {WebAssembly.Module} module
   */
  prepare(module) {
    const [first] = this.#members;
    first?.worker.post({ module });
  }

  /**
   * A piece of the model, in front of the setup, for the worker that starts: it moves there, where the whole model would be copied twice.
   * @param {Uint8Array} piece is not to be used any more
   * @param {number | null} total bytes of all pieces, where that is known
   */
  feed(piece, total) {
    const [first] = this.#members;
    if (!first) return;
    const own = piece.length === piece.buffer.byteLength ? piece : piece.slice();
    first.fed += own.length;
    first.worker.post({ piece: own, total }, [own.buffer]);
  }

  #start() {
    const member = new Member((self) =>
      this.#createWorker({
        message: (message) => this.#receive(self, message),
        failure: (reason) => this.#lose(self, new NacError('WORKER_FAILED', `a worker stopped: ${reason}`)),
      }));
    this.#members.add(member);
    const begin = (/** @type {Setup} */ { sha256, model, ...rest }) => {
      if (!this.#members.has(member)) return;
      member.worker.post({ setup: { ...rest, model: member.fed === model?.length ? undefined : model, hashed: sha256 !== undefined } });
      this.#watch(member, 'the model could not be made ready within');
      void Promise.resolve(sha256).then((digits) => digits && member.worker.post({ sha256: digits }), (error) => this.#fail(error));
    };
    Promise.resolve(this.#setup).then(begin, (error) => this.#fail(error));
  }

  /** @param {Member} member @param {string} what */
  #watch(member, what) {
    // A model that hangs one worker hangs the next, unless one has started with it.
    member.watch(this.#timeout, () => this.#lose(member, new NacError('TIMEOUT', `${what} ${this.#timeout / 1000} s`), !member.ready && !this.#proven));
  }

  /** @param {Member} member @param {any} message */
  #receive(member, message) {
    if (!this.#members.has(member)) return;
    if (message.spare) return void (this.spares.length < SPARES && this.spares.push(message.spare));
    member.rest();
    if (message.failed) return this.#lose(member, unpackError(message.failed), true);
    if (message.ready) {
      member.ready = true;
      this.#proven = true;
      this.#crashedStarts = 0;
      this.spares = [];
      this.#resolveReady(message.ready);
      return this.#hand();
    }
    if (message.broken) return this.#lose(member, new NacError('WORKER_FAILED', `a worker stopped: ${message.error.message}`));
    const { job } = member;
    member.job = null;
    if (message.error) job?.reject(unpackError(message.error));
    else job?.resolve(message.result);
    this.#hand();
  }

  /**
   * @param {Member} member
   * @param {Error} error
   * @param {boolean} [final] it would happen to every other worker, too
   */
  #lose(member, error, final = false) {
    if (!this.#members.delete(member)) return;
    member.close();
    if (member.ready) {
      member.job?.reject(error);
      return this.#hand();
    }
    if (!final && ++this.#crashedStarts < (this.#proven ? STARTS_OF_PROVEN : STARTS)) return this.#start();
    // One that cannot even start: the others go on if there are any, else nothing can.
    if ([...this.#members].some((other) => other.ready)) {
      this.size = Math.max(1, this.#members.size);
      return this.#hand();
    }
    this.#fail(error);
  }

  /** @param {Error} error */
  #fail(error) {
    this.#error ??= error;
    this.spares = [];
    this.#rejectReady(this.#error);
    for (const member of this.#members) {
      member.close();
      member.job?.reject(this.#error);
    }
    for (const job of this.#queue.splice(0)) job.reject(this.#error);
    this.#members.clear();
  }

  /** Ends the workers; tasks that are not done fail with CLOSED. */
  close() {
    this.#fail(new NacError('CLOSED', 'the detector has been closed'));
  }
}

/** The same without a worker: tasks run in this thread, one after another. */
export class Inline {
  size = 1;
  /** @type {Promise<import('./runner.js').Runner>} */
  #runner;
  #last = Promise.resolve();
  #closed = false;

  /** @param {Setup | Promise<Setup>} setup */
  constructor(setup) {
    // Where there are workers, they alone import it.
    this.#runner = Promise.all([setup, import('./runner.js')]).then(([given, { Runner }]) => Runner.create({ ...given }));
    this.ready = this.#runner.then((runner) => ((this.spares = []), runner.describe()));
    this.ready.catch(() => (this.spares = []));
  }

  /** All comes with the setup. */
  prepare() {}

  /** @type {ArrayBuffer[]} */
  spares = [];

  /** @param {Uint8Array} piece */
  feed(piece) {
    this.spares = [/** @type {ArrayBuffer} */ (piece.buffer)];
  }

  /**
   * @param {Task} task
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<any>}
   */
  run(task, { signal } = {}) {
    const result = this.#last.then(async () => {
      const runner = await this.#runner;
      if (this.#closed) throw new NacError('CLOSED', 'the detector has been closed');
      signal?.throwIfAborted();
      try {
        return await runner.run(task);
      } catch (error) {
        throw error instanceof NacError ? error : unpackError({ ...packError(error), code: 'WORKER_FAILED' });
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  close() {
    this.#closed = true;
    this.#runner.then((runner) => runner.close(), () => {});
  }
}

/**
 * Runs `work` on every item with at most `window` under way, and yields the results in the items' order. The next item is
 * taken from `items` only when there is room for it.
 * @template T, R
 * @param {Iterable<T> | AsyncIterable<T>} items
 * @param {(item: T) => Promise<R>} work
 * @param {number} window
 * @returns {AsyncGenerator<R, void, undefined>}
 */
export async function* inOrder(items, work, window) {
  /** @type {Promise<R>[]} */
  const running = [];
  try {
    for await (const item of items) {
      const promise = work(item);
      promise.catch(() => {}); // it is looked at when its turn comes
      running.push(promise);
      if (running.length >= window) yield await /** @type {Promise<R>} */ (running.shift());
    }
    while (running.length > 0) yield await /** @type {Promise<R>} */ (running.shift());
  } finally {
    await Promise.allSettled(running);
  }
}
