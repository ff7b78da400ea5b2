// node bench/nodes.js [--variant relaxed|simd] [--rounds 10] MODEL.onnx
//
// Where the time goes: every node of the plan, forward and backward, timed by itself (minimum of the rounds), with its share and,
// where it multiplies, its GFLOP/s. Taps: auto.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Engine } from '../wasm/js/engine.js';
import { host } from '../wasm/js/host-node.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { variant: { type: 'string', default: 'relaxed' }, rounds: { type: 'string', default: '10' }, top: { type: 'string', default: '40' } },
});

host.prepare(values.variant);
const engine = await Engine.create(await WebAssembly.compile(readFileSync(host.wasm(values.variant))));
const model = engine.openModel(readFileSync(positionals[0]));
const free = model.info.inputs[0].dims;
const session = engine.createSession(model, { batch: 1, height: free[2] ?? 224, width: free[3] ?? 224 });
const pixels = session.imageFloats;

const count = session.nodeCount;
const best = new Float64Array(count).fill(Infinity);
for (let round = -2; round < Number(values.rounds); round++) {
  session.input(0).set(Float32Array.from({ length: pixels }, (_, i) => Math.sin(i / 50)));
  for (let node = 0; node < count; node++) {
    const start = performance.now();
    session.runNode(node);
    if (round >= 0) best[node] = Math.min(best[node], performance.now() - start);
  }
}

const { nodes } = session.info;
const total = best.reduce((sum, ms) => sum + ms, 0);
const forward = best.subarray(0, session.forwardCount).reduce((sum, ms) => sum + ms, 0);
const byOp = new Map();
for (let i = 0; i < count; i++) {
  const entry = byOp.get(nodes[i].op) ?? { ms: 0, macs: 0, count: 0 };
  byOp.set(nodes[i].op, { ms: entry.ms + best[i], macs: entry.macs + nodes[i].macs, count: entry.count + 1 });
}
const rate = (macs, ms) => (macs > 0 ? ((2 * macs) / ms / 1e6).toFixed(1).padStart(7) : '      -');
console.log(`forward ${forward.toFixed(1)} ms, backward ${(total - forward).toFixed(1)} ms\n`);
console.log(`${'operator'.padEnd(20)} nodes       ms      %  GFLOP/s`);
for (const [op, { ms, macs, count: n }] of [...byOp].sort((a, b) => b[1].ms - a[1].ms))
  console.log(`${op.padEnd(20)} ${String(n).padStart(5)} ${ms.toFixed(2).padStart(8)} ${((100 * ms) / total).toFixed(1).padStart(6)}  ${rate(macs, ms)}`);
console.log(`\n${'node'.padEnd(8)} ${'operator'.padEnd(16)} ${'shape'.padEnd(20)}       ms      %  GFLOP/s  name`);
const order = [...nodes.keys()].sort((a, b) => best[b] - best[a]).slice(0, Number(values.top));
for (const i of order) {
  const { op, shape, macs, name } = nodes[i];
  const where = `${i < session.forwardCount ? 'f' : 'b'}${i}`;
  console.log(`${where.padEnd(8)} ${op.padEnd(16)} ${shape.join('x').padEnd(20)} ${best[i].toFixed(2).padStart(8)} ${((100 * best[i]) / total).toFixed(1).padStart(6)}  ${rate(macs, best[i])}  ${name.slice(-50)}`);
}
