// node tests/oracle/run_network.js MODEL.onnx INPUT.f32 N,3,H,W OUT.f32 [--variant simd|relaxed]
//     [--backend xnnpack|reference] [--rounds 0] [--layers a=none,b]
//
// One network on one input with the taps that auto chooses, or others, for torchvision_parity.py and kinks.py. OUT: logits [N, K], then z and g [N, neurons] of
// each tap. Prints JSON: { classes, taps: [{name, pool, neurons}], forwardMs, backwardMs, arenaBytes, weightBytes, heapBytes, residentBytes };
// milliseconds are of one image, the fastest of the rounds; heapBytes is the wasm memory at its largest (it never shrinks).
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseLayers } from '../../wasm/js/build.js';
import { Engine } from '../../wasm/js/engine.js';
import { host } from '../../wasm/js/host-node.js';

const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  variant: { type: 'string', default: 'simd' }, backend: { type: 'string', default: 'xnnpack' },
  rounds: { type: 'string', default: '1' }, layers: { type: 'string', default: '' },
} });
const [modelFile, inputFile, shape, outFile] = positionals;
const [N, C, H, W] = shape.split(',').map(Number);

host.prepare(values.variant);
const engine = await Engine.create(await WebAssembly.compile(readFileSync(host.wasm(values.variant))));
const model = engine.openModel(readFileSync(modelFile));
const layers = values.layers ? parseLayers(values.layers.split(',')) : undefined;
const session = engine.createSession(model, { batch: 1, height: H, width: W, taps: layers, backend: values.backend, closeModel: true });

const input = new Float32Array(new Uint8Array(readFileSync(inputFile)).buffer);
const { classes, taps } = session;
const found = { logits: [], z: taps.map(() => []), g: taps.map(() => []) };
let forwardMs = Infinity, backwardMs = Infinity;
for (let n = 0; n < N; ++n) {
  const image = input.subarray(n * C * H * W, (n + 1) * C * H * W);
  for (let round = 0; round < Number(values.rounds); ++round) {
    const view = session.input(0);
    for (let p = 0; p < H * W; ++p) for (let c = 0; c < C; ++c) view[p * C + c] = image[c * H * W + p];
    const start = performance.now();
    session.forward();
    const middle = performance.now();
    session.backward();
    forwardMs = Math.min(forwardMs, middle - start);
    backwardMs = Math.min(backwardMs, performance.now() - middle);
  }
  found.logits.push(session.logits().slice());
  taps.forEach((_, tap) => {
    found.z[tap].push(session.z(tap).slice());
    found.g[tap].push(session.g(tap).slice());
  });
}
const parts = [found.logits, ...taps.flatMap((_, tap) => [found.z[tap], found.g[tap]])].flat();
writeFileSync(outFile, Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))));
const { arenaBytes, weightBytes } = session.info;
const heapBytes = engine.memoryBytes;
console.log(JSON.stringify({ classes, taps, forwardMs, backwardMs, arenaBytes, weightBytes, heapBytes, residentBytes: process.resourceUsage().maxRSS * 1024 }));
