// node bench/nodes.js [--variant relaxed|simd] [--rounds 10] [--top 40] MODEL.onnx
//
// Where the time goes: every node of the plan, forward and backward, timed by itself (minimum of the rounds), with its share and,
// where it multiplies, its GFLOP/s and the fraction of this core's peak (bench/peak.js). Taps: auto. Convolutions are
// counted as what they compute, so those by Winograd's algorithm and those that leave out zeros may exceed the peak.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { sumTimes, timeNodes } from '../wasm/cli/shared/timings.js';
import { Engine } from '../wasm/js/engine.js';
import { host } from '../wasm/js/host-node.js';
import { measurePeak } from './peak.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { variant: { type: 'string', default: 'relaxed' }, rounds: { type: 'string', default: '10' }, top: { type: 'string', default: '40' } },
});

host.prepare(values.variant);
const engine = await Engine.create(await WebAssembly.compile(readFileSync(host.wasm(values.variant))));
const model = engine.openModel(readFileSync(positionals[0]));
const free = model.info.inputs[0].dims;
const session = engine.createSession(model, { batch: 1, height: free[2] ?? 224, width: free[3] ?? 224, closeModel: true });
const nodes = timeNodes(session, Number(values.rounds));
const peak = await measurePeak(values.variant);
const total = sumTimes(nodes);

const cells = ({ ms, gflops }) => [
  ms.toFixed(2).padStart(8), ((100 * ms) / total.ms).toFixed(1).padStart(6),
  (gflops ? gflops.toFixed(1) : '-').padStart(8), (gflops ? ((100 * gflops) / peak).toFixed(0) : '-').padStart(7),
].join(' ');
const HEAD = '      ms      %  GFLOP/s  % peak';

console.log(`peak of this core with ${values.variant} SIMD: ${peak.toFixed(1)} GFLOP/s\n`);
console.log(`${'pass'.padEnd(26)} ${HEAD}`);
for (const pass of ['forward', 'backward']) console.log(`${pass.padEnd(26)} ${cells(sumTimes(nodes.filter((node) => node.pass === pass)))}`);

const byOp = [...new Set(nodes.map(({ op }) => op))].map((op) => [op, nodes.filter((node) => node.op === op)]);
console.log(`\n${'operator'.padEnd(20)} nodes ${HEAD}`);
for (const [op, members] of byOp.sort(([, a], [, b]) => sumTimes(b).ms - sumTimes(a).ms))
  console.log(`${op.padEnd(20)} ${String(members.length).padStart(5)} ${cells(sumTimes(members))}`);

console.log(`\n${'node'.padEnd(8)} ${'operator'.padEnd(16)} ${'shape'.padEnd(20)} ${HEAD}  name`);
const order = [...nodes.keys()].sort((a, b) => nodes[b].ms - nodes[a].ms).slice(0, Number(values.top));
for (const i of order) {
  const { op, shape, pass, name } = nodes[i];
  console.log(`${`${pass[0]}${i}`.padEnd(8)} ${op.padEnd(16)} ${shape.join('x').padEnd(20)} ${cells(sumTimes([nodes[i]]))}  ${name.slice(-50)}`);
}
