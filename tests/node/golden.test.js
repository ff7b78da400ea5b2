// PyTorch's numbers for four small networks, through the command: states, and scores of a profile built from sprites.
// The files are made by tests/oracle/network_goldens.py.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nac } from './helpers/cli.js';
import { readTensors } from './helpers/safetensors.js';
import { encodeSprite } from './helpers/scene.js';

const GOLDEN = fileURLToPath(new URL('../golden/networks/', import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), 'nac-golden-'));
const file = (name) => path.join(folder, name);
after(() => rmSync(folder, { recursive: true, force: true }));

// The goldens' input: (u8 - 128) / 64.
const PREPROCESS = { resize: null, crop: [32, 32], scale: 1, mean: [128, 128, 128], std: [64, 64, 64] };
writeFileSync(file('preset.json'), JSON.stringify(PREPROCESS));

const { pixels } = readTensors(path.join(GOLDEN, 'input.safetensors')).tensors;
const [N] = pixels.shape;
const tiles = Array.from({ length: N }, (_, n) =>
  Uint8Array.from({ length: 3072 }, (_, i) => pixels.values[n * 3072 + (i % 3) * 1024 + Math.floor(i / 3)]));

/** Largest difference over the largest value. */
function difference(actual, expected) {
  const size = expected.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  return expected.reduce((worst, value, i) => Math.max(worst, Math.abs(value - actual[i])), 0) / size;
}

for (const variant of ['simd', 'relaxed'])
  for (const name of ['resnet', 'mobilenetv2', 'vgg', 'densenet'])
    test(`${name}, ${variant}: states and scores are PyTorch's`, async () => {
      const { metadata, tensors: golden } = readTensors(path.join(GOLDEN, `${name}.safetensors`));
      const [taps, alphas, bins, fill, known] = ['taps', 'alphas', 'bins', 'fill', 'profileImages'].map((key) => JSON.parse(metadata[key]));
      writeFileSync(file('all.32x32.png'), encodeSprite(tiles, 32, 1));
      writeFileSync(file('known.32x32.png'), encodeSprite(tiles.slice(0, known), 32, 1));
      writeFileSync(file('new.32x32.png'), encodeSprite(tiles.slice(known), 32, 1));
      const model = path.join(GOLDEN, `${name}.onnx`);
      const common = ['--model', model, '--variant', variant];

      const states = await nac('states', ...common, file('all.32x32.png'), '--preset', file('preset.json'), '--layers', taps.join(','), '--out', file('states'));
      assert.equal(states.code, 0, states.stderr);
      const { tensors } = readTensors(file('states'));
      for (const [key, { shape, values }] of Object.entries(golden)) {
        if (key === 'scores') continue;
        assert.deepEqual(tensors[key].shape, shape, key);
        // float32 against PyTorch's float64, over at most 53 layers.
        const off = difference(tensors[key].values, values);
        assert.ok(off < 2e-4, `${key} is off by ${off}`);
      }

      const settings = ['--layers', taps.join(','), '--alpha', alphas.join(','), '--bins', String(bins), '--fill', String(fill)];
      const profile = await nac('profile', ...common, '--id', file('known.32x32.png'), '--holdout-fraction', '0', '--preset', file('preset.json'), ...settings, '--out', file('p'));
      assert.equal(profile.code, 0, profile.stderr);
      const { json } = await nac('score', ...common, '--profile', file('p'), file('new.32x32.png'), '--json');
      assert.equal(json.results.length, N - known);
      json.results.forEach(({ score, verdict }, n) => {
        assert.equal(verdict, null);
        // A state within a rounding error of an edge may fall on its other side: a few of some hundred neurons.
        assert.ok(Math.abs(score - golden.scores.values[n]) < 0.01, `image ${n}: ${score}, not ${golden.scores.values[n]}`);
      });
    });
