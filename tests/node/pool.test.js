// The pool's promises, with workers that are told what to do: order, back-pressure, and what a crash costs.
import assert from 'node:assert/strict';
import test from 'node:test';
import { NacError, packError, unpackError } from '../../wasm/js/error.js';
import { Inline, Pool, inOrder } from '../../wasm/js/pool.js';

const soon = (milliseconds = 1) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Promise.withResolvers is newer than Node 20.
const withResolvers = () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

/** A worker host whose workers answer `task.say`, crash at 'crash', fail at 'fail', trap at 'trap'; and a log of what they did. */
function fakeHost({ failStart = () => false } = {}) {
  const log = { started: 0, closed: 0, busy: 0, most: 0 };
  const createWorker = ({ message, failure }) => {
    const number = ++log.started;
    let open = true;
    const answer = (data) => open && message(data);
    return {
      post: async ({ setup, id, task }) => {
        if (setup) {
          await soon();
          return answer(failStart(number) ? { failed: packError(new NacError('MALFORMED', 'bad model')) } : { ready: { number } });
        }
        log.most = Math.max(log.most, ++log.busy);
        await soon(task.wait ?? 1);
        --log.busy;
        if (task.say === 'crash') return open && failure('it fell over');
        if (task.say === 'trap') return answer({ id, broken: true, error: packError(new Error('unreachable')) });
        if (task.say === 'fail') return answer({ id, error: packError(new NacError('UNSUPPORTED', 'a GIF')) });
        return answer({ id, result: task.say });
      },
      close: () => {
        open = false;
        ++log.closed;
      },
    };
  };
  return { createWorker, log };
}

test('tasks are spread over at most `size` workers, which are started when needed', async () => {
  const { createWorker, log } = fakeHost();
  const pool = new Pool(createWorker, {}, 3);
  await pool.ready;
  assert.equal(await pool.run({ say: 1 }), 1);
  assert.equal(log.started, 1);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, say) => pool.run({ say, wait: 3 })));
  assert.deepEqual(answers, Array.from({ length: 20 }, (_, i) => i));
  assert.equal(log.started, 3);
  assert.equal(log.most, 3);
  pool.close();
  assert.equal(log.closed, 3);
});

for (const how of ['crash', 'trap'])
  test(`a worker's ${how} costs the task it had, and no other`, async () => {
    const { createWorker, log } = fakeHost();
    const pool = new Pool(createWorker, {}, 1);
    const answers = await Promise.allSettled(['a', how, 'b', 'c'].map((say) => pool.run({ say })));
    assert.deepEqual(answers.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    assert.equal(answers[1].reason.code, 'WORKER_FAILED');
    assert.equal(log.started, 2);
    pool.close();
  });

test("an image's own error leaves the worker at work", async () => {
  const { createWorker, log } = fakeHost();
  const pool = new Pool(createWorker, {}, 1);
  await assert.rejects(pool.run({ say: 'fail' }), { name: 'NacError', code: 'UNSUPPORTED', message: 'a GIF' });
  assert.equal(await pool.run({ say: 'after' }), 'after');
  assert.equal(log.started, 1);
  pool.close();
});

test('a worker that cannot start fails everything when it is the first, and nothing when others work', async () => {
  const first = fakeHost({ failStart: () => true });
  const broken = new Pool(first.createWorker, {}, 2);
  await assert.rejects(broken.run({ say: 1 }), { code: 'MALFORMED' });
  await assert.rejects(broken.ready, { code: 'MALFORMED' });
  await assert.rejects(broken.run({ say: 2 }), { code: 'MALFORMED' });

  const second = fakeHost({ failStart: (number) => number > 1 });
  const pool = new Pool(second.createWorker, {}, 4);
  await pool.ready;
  const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((say) => pool.run({ say, wait: 4 })));
  assert.deepEqual(answers, [1, 2, 3, 4, 5, 6]);
  pool.close();
});

test('a worker is started while what it needs is still being read; what cannot be read fails everything', async () => {
  const { createWorker, log } = fakeHost();
  const { promise, resolve } = withResolvers();
  const pool = new Pool(createWorker, promise, 1, 20);
  const answer = pool.run({ say: 1 });
  await soon(30);
  assert.deepEqual([log.started, log.closed], [1, 0], 'nothing is late before there is something to do');
  resolve({});
  assert.equal(await answer, 1);
  pool.close();

  const missing = withResolvers();
  const none = new Pool(createWorker, missing.promise, 1);
  const asked = none.run({ say: 1 });
  missing.reject(new NacError('NOT_FOUND', 'no such file'));
  await assert.rejects(asked, { code: 'NOT_FOUND' });
  await assert.rejects(none.ready, { code: 'NOT_FOUND' });
  assert.deepEqual([log.started, log.closed], [2, 2]);
});

test('the worker that starts first gets the model as it comes; others, and the one in its place, get all of it at once', async () => {
  const workers = [];
  const createWorker = (listeners) => {
    const posted = [];
    workers.push({ ...listeners, posted });
    return { post: (message, transfer = []) => posted.push(structuredClone(message, { transfer })), close() {} };
  };
  const model = Uint8Array.of(1, 2, 3, 4, 5);
  const setup = withResolvers();
  const pool = new Pool(createWorker, setup.promise, 2);
  const shared = Uint8Array.of(0, 3, 4, 5, 0);
  pool.prepare('binary');
  pool.feed(model.slice(0, 2), 5);
  pool.feed(shared.subarray(1, 4), 5);
  for (let i = 1; i < 8; ++i) workers[0].message({ spare: new ArrayBuffer(i) });
  assert.deepEqual(pool.spares.map(({ byteLength }) => byteLength), [1, 2, 3, 4], 'some blocks come back');
  setup.resolve({ model, sha256: Promise.resolve('digits') });
  await soon();
  assert.deepEqual([...shared], [0, 3, 4, 5, 0], 'what is a part of something else is copied');
  const [first] = workers;
  const [{ module }, one, two, { setup: rest }, { sha256 }] = first.posted;
  assert.deepEqual([module, one, two, sha256], ['binary', { piece: Uint8Array.of(1, 2), total: 5 }, { piece: Uint8Array.of(3, 4, 5), total: 5 }, 'digits']);
  assert.deepEqual([rest.model, rest.hashed, first.posted.length], [undefined, true, 5]);

  first.failure('it fell over');
  await soon();
  const [{ setup: again }, ...others] = workers[1].posted;
  assert.deepEqual([again.model, others], [model, [{ sha256: 'digits' }]]);
  assert.deepEqual([...model], [1, 2, 3, 4, 5]);
  workers[1].message({ ready: {} });
  assert.deepEqual(pool.spares, [], 'and are given up when nothing comes any more');
  pool.close();
});

test('blocks that come back are given up with the pool', async () => {
  const pool = new Pool(() => ({ post() {}, close() {} }), new Promise(() => {}), 1);
  pool.spares.push(new ArrayBuffer(8));
  pool.close();
  assert.deepEqual(pool.spares, []);
  const inline = new Inline(Promise.reject(new NacError('NOT_FOUND', 'no such file')));
  inline.feed(new Uint8Array(8));
  await assert.rejects(inline.ready, { code: 'NOT_FOUND' });
  await soon();
  assert.deepEqual(inline.spares, []);
});

test('an aborted task is rejected with the reason, waiting or begun', async () => {
  const { createWorker } = fakeHost();
  const pool = new Pool(createWorker, {}, 1);
  await pool.ready;
  const control = new AbortController();
  const begun = pool.run({ say: 1, wait: 20 }, { signal: control.signal });
  const waiting = pool.run({ say: 2 }, { signal: control.signal });
  const other = pool.run({ say: 3 });
  control.abort(new Error('enough'));
  await assert.rejects(begun, { message: 'enough' });
  await assert.rejects(waiting, { message: 'enough' });
  await assert.rejects(pool.run({ say: 4 }, { signal: control.signal }), { message: 'enough' });
  assert.equal(await other, 3);
  pool.close();
});

test('close fails what is not done', async () => {
  const { createWorker, log } = fakeHost();
  const pool = new Pool(createWorker, {}, 1);
  const tasks = [pool.run({ say: 1, wait: 50 }), pool.run({ say: 2 })];
  await soon(5);
  pool.close();
  for (const task of tasks) await assert.rejects(task, { code: 'CLOSED' });
  await assert.rejects(pool.run({ say: 3 }), { code: 'CLOSED' });
  assert.equal(log.closed, 1);
});

test('inOrder keeps the order, however long each takes, and takes no item before there is room', async () => {
  let taken = 0;
  let under = 0;
  let most = 0;
  const source = (function* () {
    for (let i = 0; i < 12; ++i) {
      ++taken;
      yield i;
    }
  })();
  const work = async (i) => {
    most = Math.max(most, ++under);
    await soon((12 - i) % 5);
    --under;
    return i;
  };
  const seen = [];
  for await (const i of inOrder(source, work, 3)) {
    seen.push(i);
    assert.ok(taken <= seen.length + 3, `${taken} items were taken when ${seen.length} had been handed over`);
  }
  assert.deepEqual(seen, Array.from({ length: 12 }, (_, i) => i));
  assert.equal(most, 3);
});

test('inOrder hands over an error in its turn, and leaving early ends it', async () => {
  const seen = [];
  const failing = async (i) => {
    if (i === 2) throw new Error('two');
    return i;
  };
  await assert.rejects(async () => {
    for await (const i of inOrder([0, 1, 2, 3], failing, 4)) seen.push(i);
  }, { message: 'two' });
  assert.deepEqual(seen, [0, 1]);
  for await (const i of inOrder([5, 6, 7], async (value) => value, 2)) {
    assert.equal(i, 5);
    break;
  }
});

test('errors keep their code across a worker boundary', () => {
  const error = unpackError(structuredClone(packError(new NacError('MISMATCH', 'not this one'))));
  assert.ok(error instanceof NacError);
  assert.equal(error.code, 'MISMATCH');
  assert.equal(unpackError(packError(new DOMException('stop', 'AbortError'))).name, 'AbortError');
});
