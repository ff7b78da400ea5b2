// @ts-check
/** Where the time of a score goes: every node of the plan timed by itself, and nodes of one layer put together. */
import { loadModule } from '../../js/detector.js';
import { Engine } from '../../js/engine.js';
import { host, readBytes } from '../../js/host-node.js';
import { readModel } from '../../js/model-source.js';
import { table } from './terminal.js';

const WARM_UPS = 2;
const ROUNDS = 10;

/**
 * @typedef {{ name: string, op: string, shape: number[], macs: number, pass: 'forward' | 'backward', ms: number }} NodeTime
 * @typedef {import('../../js/index.d.ts').Time} Time
 * @typedef {import('../../js/index.d.ts').Timings} Timings
 */

/**
 * Every node of the session, in order; the shortest of the rounds counts, since other programs only ever slow one down.
 * @param {import('../../js/engine/model.js').Session} session
 * @param {number} [rounds]
 * @returns {NodeTime[]}
 */
export function timeNodes(session, rounds = ROUNDS) {
  const { nodes } = session.info;
  const best = new Float64Array(nodes.length).fill(Infinity);
  // Any picture leaves about as many zeros behind a network's ReLUs. A plan may write over its input.
  const picture = Float32Array.from({ length: session.imageFloats }, (_, i) => Math.sin(i / 50));
  for (let round = -WARM_UPS; round < rounds; round++) {
    for (let n = 0; n < session.batch; n++) session.input(n).set(picture);
    for (let node = 0; node < nodes.length; node++) {
      const start = performance.now();
      session.runNode(node);
      if (round >= 0) best[node] = Math.min(best[node], performance.now() - start);
    }
  }
  const { forwardCount } = session;
  return nodes.map((/** @type {any} */ node, /** @type {number} */ i) => ({ ...node, pass: i < forwardCount ? 'forward' : 'backward', ms: best[i] }));
}

/**
 * @param {NodeTime[]} nodes
 * @returns {Time}
 */
export function sumTimes(nodes) {
  const ms = nodes.reduce((sum, node) => sum + node.ms, 0);
  const macs = nodes.reduce((sum, node) => sum + node.macs, 0);
  return { ms, gflops: macs > 0 && ms > 0 ? (2 * macs) / ms / 1e6 : null };
}

/**
 * Nodes of one name: a convolution, its gradient and the mask of its ReLU. In the order of the forward pass.
 * @param {NodeTime[]} nodes
 * @returns {Timings['layers']}
 */
function groupByLayer(nodes) {
  /** @type {Map<string, NodeTime[]>} */
  const layers = new Map();
  for (const node of nodes) {
    const layer = layers.get(node.name);
    if (layer) layer.push(node);
    else layers.set(node.name, [node]);
  }
  return [...layers].map(([name, members]) => {
    const [forward, backward] = ['forward', 'backward'].map((pass) => members.filter((node) => node.pass === pass));
    return { name, op: members[0].op, forward: forward.length > 0 ? sumTimes(forward) : null, backward: backward.length > 0 ? sumTimes(backward) : null };
  });
}

/**
 * The layers of a model with a profile's taps, on the binary that scoring uses.
 * @param {{ model: string, profile: string, variant?: import('../../js/variants.js').Variant | 'auto' }} options
 * @returns {Promise<Timings>}
 */
export async function timeLayers({ model: modelFile, profile: profileFile, variant }) {
  const loaded = await loadModule(host, { variant });
  const engine = await Engine.create(loaded.module);
  const { model: bytes, files } = await readModel(host, modelFile);
  const model = engine.openModel(bytes, { files });
  const profile = engine.openProfile(await readBytes(profileFile, { kind: 'profile' }));
  const { width, height } = engine.preprocess(profile.metadata('preprocess')).size(1, 1);
  const session = engine.createSession(model, { batch: 1, height, width, taps: profile.layers, closeModel: true });
  const nodes = timeNodes(session);
  session.close();
  profile.close();
  const [forward, backward] = ['forward', 'backward'].map((pass) => sumTimes(nodes.filter((node) => node.pass === pass)));
  return { variant: loaded.variant, rounds: ROUNDS, forward, backward, layers: groupByLayer(nodes) };
}

/** @param {Timings} timings */
export function timingsTable({ forward, backward, layers }) {
  const cells = (/** @type {Time | null} */ time) => [time ? time.ms.toFixed(2) : '-', time?.gflops ? time.gflops.toFixed(1) : '-'];
  /** @type {import('./terminal.js').Column[]} */
  const columns = [
    { title: 'layer', width: 44, cut: 'start' },
    { title: 'operator', width: 14 },
    { title: 'forward ms', width: 10, align: 'right' },
    { title: 'GFLOP/s', width: 7, align: 'right' },
    { title: 'backward ms', width: 11, align: 'right' },
    { title: 'GFLOP/s', width: 7, align: 'right' },
  ];
  const rows = layers.map((layer) => [layer.name, layer.op, ...cells(layer.forward), ...cells(layer.backward)]);
  return `\n${table(columns, [...rows, ['all', '', ...cells(forward), ...cells(backward)]])}`;
}
