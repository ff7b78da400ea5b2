// The small parts: hashes, sprites, subsets, variants, the safetensors writer, tables.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { safetensors } from '../../wasm/cli/shared/safetensors.js';
import { spearman } from '../../wasm/cli/shared/spearman.js';
import { fit, table } from '../../wasm/cli/shared/terminal.js';
import { conformalThreshold } from '../../wasm/js/baselines.js';
import { parseLayers } from '../../wasm/js/build.js';
import { hashImage, sha256Hex } from '../../wasm/js/hash.js';
import { digest } from '../../wasm/js/sha256.js';
import { countTiles, cutTile, parseSpriteName, pngSize } from '../../wasm/js/sprite.js';
import { balancedOrder, holdOut } from '../../wasm/js/subset.js';
import { KIND_NAMES, synthesise } from '../../wasm/js/synthetic.js';
import { chooseVariant, supports } from '../../wasm/js/variants.js';
import { encodePng, encodeSprite, noise } from './helpers/scene.js';

test('SHA-256 without Web Crypto is the same, around every block boundary', async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
    const expected = createHash('sha256').update(bytes).digest('hex');
    assert.equal(Buffer.from(await digest(bytes)).toString('hex'), expected);
    assert.equal(await sha256Hex(bytes), expected);
  }
});

test("an image's hash is of its size and pixels", async () => {
  const pixels = noise(1);
  const hash = await hashImage(pixels, 8, 8);
  assert.equal(await hashImage(Uint8Array.from(pixels), 8, 8), hash);
  assert.notEqual(await hashImage(pixels, 4, 16), hash);
  pixels[0] ^= 1;
  assert.notEqual(await hashImage(pixels, 8, 8), hash);
});

test('a baseline is flagged exactly where its conformal p-value is small enough', () => {
  const held = Array.from({ length: 99 }, (_, i) => ((i * 37) % 50) / 7); // with ties
  for (const falseAlarm of [0.01, 0.05, 0.5, 1]) {
    const threshold = conformalThreshold(held, falseAlarm);
    for (const score of [-1, 8, ...held, ...held.map((value) => value + 0.01)]) {
      const p = (1 + held.filter((value) => value <= score).length) / (held.length + 1);
      // At 1 everything would be flagged, but no threshold among the scores lies above the highest.
      if (falseAlarm < 1) assert.equal(score < threshold, p <= falseAlarm, `${score} at ${falseAlarm}`);
    }
  }
  assert.equal(conformalThreshold(held.slice(0, 10), 0.05), null, 'ten images cannot support 5 %');
});

test("sprites are known by their names", () => {
  assert.deepEqual(parseSpriteName('a/b.png#32x16'), { file: 'a/b.png', tile: { width: 32, height: 16 } });
  assert.deepEqual(parseSpriteName('a/b.32x16.png'), { file: 'a/b.32x16.png', tile: { width: 32, height: 16 } });
  assert.deepEqual(parseSpriteName('a/b32x16.png'), { file: 'a/b32x16.png', tile: null });
  assert.deepEqual(parseSpriteName('photo#3.png'), { file: 'photo#3.png', tile: null });
  assert.throws(() => parseSpriteName('a.png#0x8'), { code: 'INVALID_ARGUMENT' });
});

test('tiles are counted by the header and cut row by row', () => {
  const tiles = [0, 1, 2, 3, 4, 5].map((seed) => noise(seed, 4));
  const bytes = encodeSprite(tiles, 4, 3);
  assert.deepEqual(pngSize(bytes), { width: 12, height: 8 });
  assert.equal(countTiles('s', bytes, { width: 4, height: 4 }), 6);
  assert.throws(() => countTiles('s', bytes, { width: 5, height: 4 }), { code: 'MISMATCH' });
  assert.throws(() => countTiles('s', new Uint8Array(30), { width: 4, height: 4 }), { code: 'MALFORMED' });
  const sheet = { pixels: new Uint8Array(3 * 12 * 8), width: 12, height: 8 };
  tiles.forEach((tile, i) => {
    for (let y = 0; y < 4; ++y)
      sheet.pixels.set(tile.subarray(12 * y, 12 * y + 12), 3 * (((i / 3 | 0) * 4 + y) * 12 + (i % 3) * 4));
  });
  tiles.forEach((tile, i) => assert.deepEqual(cutTile(sheet, { width: 4, height: 4 }, i).pixels, tile));
});

test('a subset is balanced between classes, the same for a seed, and another for another', () => {
  const items = ['a', 'b', 'c'].flatMap((group, g) => Array.from({ length: 10 * (g + 1) }, (_, i) => ({ group, i })));
  const order = balancedOrder(items, 1);
  assert.equal(new Set(order).size, 60);
  for (const count of [3, 9, 30]) {
    const counts = ['a', 'b', 'c'].map((group) => order.slice(0, count).filter((item) => item.group === group).length);
    assert.deepEqual(counts, [count / 3, count / 3, count / 3]);
  }
  assert.deepEqual(balancedOrder(items, 1), order);
  assert.notDeepEqual(balancedOrder(items, 2), order);
  const { kept, held } = holdOut(items, 0.2, 1);
  assert.equal(held.length, 12);
  assert.equal(new Set([...kept, ...held]).size, 60);
});

test('made-up outliers are the same each time, differ by seed, and are not the image', () => {
  const image = { pixels: noise(1, 32), width: 32, height: 32 };
  const other = { pixels: noise(2, 16), width: 16, height: 16 };
  const make = (kind, seed) => synthesise(kind, image, other, seed);
  assert.equal(new Set(KIND_NAMES).size, 13);
  for (const kind of KIND_NAMES) {
    assert.deepEqual(make(kind, 3), make(kind, 3));
    const made = [0, 1, 2, 3, 4, 5].map((seed) => make(kind, seed));
    assert.ok(made.every(({ pixels }) => pixels.some((value, i) => value !== image.pixels[i])), kind);
    assert.ok(made.some(({ pixels }) => pixels.some((value, i) => value !== made[0].pixels[i])), `${kind}: one image for all seeds`);
    for (const { pixels, width, height } of made) assert.deepEqual([pixels.length, width, height], [3072, 32, 32]);
  }
  const sorted = ({ pixels }) => Array.from(pixels).sort((a, b) => a - b);
  for (const kind of ['shuffled', 'turned']) assert.deepEqual(sorted(make(kind, 1)), sorted(image), `${kind}: pixels change places, and nothing else`);
  assert.deepEqual(sorted(make('negative', 1)), sorted(image).map((value) => 255 - value).reverse());
  assert.equal(new Set(make('silhouettes', 1).pixels).size <= 6, true, 'two colours');
});

test('made-up outliers of any size: a pixel, an odd rectangle, and a photograph made small', () => {
  for (const [width, height, w, h] of [[1, 1, 1, 1], [3, 7, 3, 7], [1000, 333, 250, 84]])
    for (const kind of KIND_NAMES) {
      const image = { pixels: new Uint8Array(3 * width * height).map((_, i) => i % 251), width, height };
      const made = synthesise(kind, image, { pixels: noise(2, 16), width: 16, height: 16 }, 1);
      const sides = [made.width, made.height];
      assert.ok(kind === 'turned' ? sides.includes(w) && sides.includes(h) : sides[0] === w && sides[1] === h, `${kind}: ${sides}`);
      assert.equal(made.pixels.length, 3 * w * h);
    }
});

test('the variant asked for is the variant chosen', () => {
  assert.equal(supports('simd'), true);
  assert.equal(chooseVariant('simd'), 'simd');
  assert.equal(chooseVariant('auto'), supports('relaxed') ? 'relaxed' : 'simd');
  assert.throws(() => chooseVariant('scalar'), { code: 'INVALID_ARGUMENT' });
});

test('taps are written name=KIND, and a name may hold an equals sign', () => {
  assert.deepEqual(parseLayers(['a', 'b=cls', 'c=d']), [{ name: 'a', pool: 'sum' }, { name: 'b', pool: 'cls' }, { name: 'c=d', pool: 'sum' }]);
  assert.deepEqual(parseLayers('auto'), []);
});

test('safetensors: length, header, numbers at a multiple of 8', () => {
  const tensors = [
    { name: 'é.z', shape: [2, 2], rows: [Float32Array.of(1, 2), Float32Array.of(3, 4)] },
    { name: 'w', shape: [1], rows: [Float32Array.of(5)] },
  ];
  const bytes = Buffer.concat([...safetensors(tensors, { a: 'b' })]);
  const length = Number(bytes.readBigUInt64LE(0));
  assert.equal((8 + length) % 8, 0);
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
  assert.deepEqual(header['é.z'], { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] });
  assert.deepEqual(header.w.data_offsets, [16, 20]);
  assert.equal(bytes.length, 8 + length + 20);
  assert.equal(bytes.readFloatLE(8 + length + 12), 4);
  assert.throws(() => [...safetensors([{ name: 'w', shape: [2], rows: [Float32Array.of(5)] }], {})]);
});

test('a table keeps to its widths, and cuts the end of text that says less', () => {
  assert.equal(fit('abcdef', { title: '', width: 4 }), 'abc…');
  assert.equal(fit('abcdef', { title: '', width: 4, cut: 'start' }), '…def');
  assert.equal(fit('ab', { title: '', width: 4, align: 'right' }), '  ab');
  const text = table([{ title: 'x', width: 3 }, { title: 'y', width: 2, align: 'right' }], [['a', '1'], ['long', '22']]);
  assert.equal(text, 'x     y\na     1\nlo…  22\n');
});

test("Spearman's correlation: order alone counts, ties share a rank", () => {
  assert.equal(spearman([1, 2, 3, 4], [10, 100, 1000, 1001]), 1);
  assert.equal(spearman([1, 2, 3, 4], [4, 3, 2, 1]), -1);
  // Ranks 0 1.5 1.5 3 and 0 2 1 3: (9/4 + 9/4 + 0) / sqrt(4.5 * 5).
  assert.ok(Math.abs(spearman([1, 2, 2, 3], [5, 7, 6, 8]) - 4.5 / Math.sqrt(22.5)) < 1e-12);
  assert.equal(spearman([1, 1, 1], [1, 2, 3]), null);
  assert.equal(spearman([1], [1]), null);
});

test('a PNG of the helpers is one', () => {
  assert.deepEqual(pngSize(encodePng(noise(1), 8, 8)), { width: 8, height: 8 });
});
