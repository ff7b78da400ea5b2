// Models, profiles and images that are too large, wherever they come from: refused before they are read, kept, or copied into
// WebAssembly's memory. What an image may measure is in limits.test.js.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import test, { after, before } from 'node:test';
import { readBody } from '../../wasm/js/body.js';
import { readBytes } from '../../wasm/js/host-node.js';
import { LARGEST } from '../../wasm/js/limits.js';
import { loadDetector } from '../../wasm/js/node.js';
import { nac } from './helpers/cli.js';
import { codeOf, makeEngine } from './helpers/engine.js';
import { makeScene } from './helpers/scene.js';

const KINDS = /** @type {const} */ (['image', 'model', 'profile']);
const NOUNS = { image: 'an image file', model: 'a model', profile: 'a profile' };
const sentence = (kind, bytes = LARGEST[kind] + 1) => `the file has ${bytes} bytes; ${NOUNS[kind]} may have ${LARGEST[kind]}`;

let scene;
before(() => (scene = makeScene()));
after(() => scene.remove());

/** A file of that many bytes, none of which is stored. */
function sparse(name, bytes) {
  const handle = openSync(scene.file(name), 'w');
  ftruncateSync(handle, bytes);
  closeSync(handle);
  return scene.file(name);
}

/** What says it has that many bytes, and must not be read. */
class Unread extends Blob {
  constructor(bytes) {
    super([]);
    Object.defineProperty(this, 'size', { value: bytes });
  }

  arrayBuffer() {
    assert.fail('it was read');
  }
}

test('files are refused before they are read', async () => {
  for (const kind of KINDS) {
    const file = sparse(`large.${kind}`, LARGEST[kind] + 1);
    await assert.rejects(readBytes(file, { kind }), { code: 'LIMIT_EXCEEDED', message: `${file}: ${sentence(kind)}` });
  }
  const image = sparse('large.png', LARGEST.image + 1);
  const scored = await nac('score', image, '--model', scene.file('tiny.onnx'), '--profile', sparse('large.safetensors', LARGEST.profile + 1));
  assert.match(scored.stderr, /large\.safetensors: the file has 1073741825 bytes/);
});

test('Files and Blobs are refused before they are read', async () => {
  const model = scene.file('tiny.onnx');
  await assert.rejects(loadDetector({ model: new Unread(LARGEST.model + 1), profile: model }), { code: 'LIMIT_EXCEEDED', message: sentence('model') });
  await assert.rejects(loadDetector({ model, profile: new Unread(LARGEST.profile + 1) }), { code: 'LIMIT_EXCEEDED', message: sentence('profile') });
});

test('a server that sends too much is interrupted, whether it says how much or not', async () => {
  let sent = 0;
  const chunk = Buffer.alloc(1 << 20);
  const server = createServer(async (request, response) => {
    if (request.url === '/said') response.setHeader('content-length', LARGEST.profile + 1);
    response.on('error', () => {});
    const closed = once(response, 'close').then(() => 'closed');
    while (response.write(chunk) || (await Promise.race([once(response, 'drain'), closed])) !== 'closed') sent += chunk.length;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${server.address().port}`;
  const model = scene.file('tiny.onnx');
  await assert.rejects(loadDetector({ model, profile: `${address}/said` }), { code: 'LIMIT_EXCEEDED', message: `${address}/said: ${sentence('profile')}` });
  assert.ok(sent < LARGEST.profile / 4, `${sent} bytes were sent`);
  server.closeAllConnections();
  server.close();

  // Without a length: counted while it comes.
  for (const type of [undefined, 'bytes']) {
    let taken = 0;
    let cancelled = false;
    const endless = new ReadableStream({
      type,
      pull: (controller) => {
        controller.enqueue(new Uint8Array(chunk));
        taken += chunk.length;
      },
      cancel: () => void (cancelled = true),
    });
    await assert.rejects(readBody(new Response(endless), { kind: 'image', name: 'endless' }), { code: 'LIMIT_EXCEEDED', message: /^endless: the file has / });
    assert.ok(cancelled && taken <= LARGEST.image + 3 * chunk.length);
  }
});

test('a body is what came, whatever the server said of its length, and so are its pieces', async () => {
  const LENGTH = 3_000_000; // blocks are filled, and one is not
  const content = Uint8Array.from({ length: LENGTH }, (_, i) => (i * 7) % 251);
  const close = (controller) => {
    controller.close();
    controller.byobRequest?.respond(0);
  };
  for (const type of [undefined, 'bytes'])
    for (const [said, encoding] of [[LENGTH], [undefined], [10], [10 * LENGTH], [10, 'gzip']]) {
      const parts = [0, 1, 500, 1_700_000, 2_900_000].map((from, i, all) => content.slice(from, all[i + 1]));
      const pull = (controller) => (parts.length > 0 ? controller.enqueue(parts.shift()) : close(controller));
      const stream = new ReadableStream({ type, pull });
      const headers = { ...(said && { 'content-length': said }), ...(encoding && { 'content-encoding': encoding }) };
      const pieces = [];
      const steps = [];
      // Pieces are to keep: they are given away, as to a worker.
      const put = (piece) => pieces.push(structuredClone(piece, { transfer: [piece.buffer] }));
      const onProgress = ({ loaded }) => steps.push(loaded);
      const bytes = await readBody(new Response(stream, { headers }), { kind: 'model', name: 'any', sink: { put, spares: [] }, onProgress });
      assert.ok(Buffer.from(content).equals(bytes), `${type}, ${said}`);
      assert.ok(Buffer.concat(pieces).equals(bytes));
      // Blocks of ours were filled, where a stream can fill them and nothing wrong was said of its length.
      if (type === 'bytes' && said !== 10) assert.deepEqual(pieces.map(({ length }) => length), [2 ** 20, 2 ** 20, LENGTH - 2 ** 21]);
      assert.ok(steps.length >= 5 && steps.every((step, i) => i === 0 || step >= steps[i - 1]));
      assert.equal(steps.at(-1), LENGTH);
    }
});

test('a block that is not needed any more is filled again', async () => {
  const spare = new ArrayBuffer(2 ** 20);
  const odd = new ArrayBuffer(7);
  const spares = [odd, spare];
  const stream = new ReadableStream({ type: 'bytes', start: (controller) => (controller.enqueue(new Uint8Array(3000).fill(1)), controller.close()) });
  const pieces = [];
  await readBody(new Response(stream), { kind: 'model', name: 'any', sink: { put: (piece) => pieces.push(piece), spares } });
  assert.deepEqual([spare.byteLength, odd.byteLength, spares.length], [0, 7, 1], 'it has been given to the stream');
  assert.equal(Buffer.concat(pieces).length, 3000);
});

test('a body that breaks off, or is too large by what is said of it', async () => {
  for (const type of [undefined, 'bytes']) {
    let pulled = 0;
    const pull = (controller) => (pulled++ === 0 ? controller.enqueue(new Uint8Array(100)) : controller.error(new TypeError('network error')));
    await assert.rejects(readBody(new Response(new ReadableStream({ type, pull })), { name: 'any' }), { message: 'network error' });
    let cancelled = false;
    const large = new ReadableStream({ type, cancel: () => void (cancelled = true) });
    const headers = { 'content-length': LARGEST.model + 1 };
    await assert.rejects(readBody(new Response(large, { headers }), { kind: 'model', name: 'any' }), { code: 'LIMIT_EXCEEDED' });
    assert.ok(cancelled);
    // Whoever is told of it may have enough.
    let given = 0;
    const watched = new ReadableStream({ type, pull: (controller) => controller.enqueue(new Uint8Array(1000)), cancel: () => void (given = -given) });
    const onProgress = () => {
      if (++given === 3) throw new Error('enough');
    };
    await assert.rejects(readBody(new Response(watched), { name: 'any', onProgress }), { message: 'enough' });
    assert.equal(given, -3);
  }
});

test("bytes are refused before they are copied into WebAssembly's memory", async () => {
  const engine = await makeEngine();
  const before = engine.memoryBytes;
  // No page of it is ever touched.
  const large = new Uint8Array(LARGEST.model + 1);
  assert.equal(codeOf(() => engine.openModel(large)), 'LIMIT_EXCEEDED');
  assert.equal(codeOf(() => engine.openProfile(large.subarray(0, LARGEST.profile + 1))), 'LIMIT_EXCEEDED');
  assert.equal(engine.memoryBytes, before);
});
