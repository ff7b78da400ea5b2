// What is refused before it is read, copied or decoded: by this side of the border, with the core's numbers and sentences.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { imageSize } from '../../wasm/js/image-size.js';
import { loadImage } from '../../wasm/js/images.js';
import { IMAGE_PIXELS, IMAGE_SIDE, LARGEST, MODEL_FILES, checkImageSize } from '../../wasm/js/limits.js';
import { codeOf, makeEngine } from './helpers/engine.js';
import { pngOfSize } from './helpers/images.js';
import { PREPROCESS } from './helpers/scene.js';

const IMAGE_BYTES = LARGEST.image;
const MORE = `LIMIT_EXCEEDED: the file has ${IMAGE_BYTES + 1} bytes; an image file may have ${IMAGE_BYTES}`;
const said = (promise) => promise.then(() => 'fine', ({ code, message }) => `${code}: ${message}`);

test('the limits are those of nac_limits.h, and so is the sentence', async () => {
  const header = readFileSync(new URL('../../core/include/nac_limits.h', import.meta.url), 'utf8');
  // Numbers there are C's, of which these are JavaScript's too.
  const limit = (name) => Function(`return ${new RegExp(`#define NAC_MAX_${name} (.+)`).exec(header)[1]}`)();
  assert.deepEqual(LARGEST, { image: limit('IMAGE_BYTES'), model: limit('MODEL_BYTES'), profile: limit('PROFILE_BYTES') });
  assert.deepEqual([IMAGE_SIDE, IMAGE_PIXELS, MODEL_FILES], ['IMAGE_SIDE', 'IMAGE_PIXELS', 'MODEL_FILES'].map(limit));
  const engine = await makeEngine();
  const preprocess = engine.preprocess(PREPROCESS);
  const sentence = (body) => {
    try {
      body();
    } catch ({ code, message }) {
      return `${code}: ${message.replace('the PNG', 'the image')}`;
    }
  };
  for (const [width, height] of [[20000, 20000], [40000, 10]])
    assert.equal(sentence(() => checkImageSize(width, height)), sentence(() => engine.decodeImage(pngOfSize(width, height), preprocess)));
  assert.equal(codeOf(() => checkImageSize(10000, 10000)), 'no error');
});

test('a file that is too large is not read, and bytes that are too many are not copied', async () => {
  const file = { name: 'film.png', size: IMAGE_BYTES + 1, arrayBuffer: () => assert.fail('it was read') };
  assert.equal(await said(loadImage(file)), MORE);
  assert.equal(await said(loadImage({ name: 'later', load: async () => file })), MORE);
  const bytes = new Uint8Array(IMAGE_BYTES + 1); // never touched, so never taken
  for (const source of [bytes, bytes.buffer, { bytes }]) assert.equal(await said(loadImage(source)), MORE);
  const pixels = new Uint8Array(3);
  assert.equal(await said(loadImage({ pixels, width: 20000, height: 20000 })), 'LIMIT_EXCEEDED: the image is 20000 x 20000 pixels; an image may have 100000000');
  const engine = await makeEngine();
  const preprocess = engine.preprocess(PREPROCESS);
  const before = engine.memoryBytes;
  assert.equal(codeOf(() => engine.decodeImage(bytes, preprocess)), 'LIMIT_EXCEEDED');
  assert.equal(codeOf(() => engine.imageFromPixels(bytes, 40000, 1, preprocess)), 'LIMIT_EXCEEDED');
  assert.equal(engine.memoryBytes, before);
});

test('a file that is gone by the time it is read is one image that fails, and not a fault of the program', async () => {
  const file = { size: 10, arrayBuffer: async () => { throw new DOMException('the file was changed', 'NotReadableError'); } };
  assert.equal(await said(loadImage(file)), 'NOT_FOUND: the file cannot be read any more: the file was changed');
});

test('sizes by the headers of what browsers decode', () => {
  const of = (text, size, ...numbers) => {
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    for (const [at, letters] of text) bytes.set(new TextEncoder().encode(letters), at);
    for (const [at, set, value] of numbers) view[set](at, value, true);
    return imageSize(bytes);
  };
  const webp = (kind) => [[0, 'RIFF'], [8, `WEBP${kind}`]];
  assert.deepEqual(of(webp('VP8X'), 30, [24, 'setUint32', 16382], [27, 'setUint16', 99]), { width: 16383, height: 100 });
  assert.deepEqual(of(webp('VP8L'), 25, [20, 'setUint8', 0x2f], [21, 'setUint32', (319 | (239 << 14)) >>> 0]), { width: 320, height: 240 });
  assert.deepEqual(of(webp('VP8 '), 30, [26, 'setUint16', 0x4000 | 320], [28, 'setUint16', 240]), { width: 320, height: 240 });
  assert.deepEqual(of([[0, 'GIF89a']], 13, [6, 'setUint16', 65535], [8, 'setUint16', 7]), { width: 65535, height: 7 });
  assert.deepEqual(of([[0, 'BM']], 54, [18, 'setInt32', 30000], [22, 'setInt32', -20000]), { width: 30000, height: 20000 });
  assert.deepEqual(imageSize(readFileSync(new URL('../browser/frog.avif', import.meta.url))), { width: 32, height: 32 });
  for (const cut of [of(webp('VP8X'), 20), of([[0, 'GIF8']], 5), of([[0, 'BM']], 20), of([[4, 'ftypavif']], 12), imageSize(new Uint8Array(0))]) assert.equal(cut, null);
});
