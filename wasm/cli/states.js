// @ts-check
/** nac states: the raw material of a score, for checks against another implementation. */
import { open } from 'node:fs/promises';
import { openPool } from '../js/detector.js';
import { parseLayers } from '../js/build.js';
import { NacError } from '../js/error.js';
import { host, reasonOf } from '../js/host-node.js';
import { inOrder } from '../js/pool.js';
import { collectStates } from '../js/states.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, layersOf, numbersOf, required, runOptions } from './shared/args.js';
import { writeOutput } from './shared/files.js';
import { listImages } from './shared/images.js';
import { readPreset } from './shared/model.js';
import { makeSkipped } from './shared/skipped.js';
import { safetensors } from './shared/safetensors.js';

// No tensor of the core is larger, and no read of a file takes more at once.
const LARGEST_ROW = 2 ** 31 - 1;

export const summary = 'Write activations, gradients and states of images';

export const help = `
nac states --model M.onnx (--tensor X.f32 --shape N,3,H,W | PATH…) --out F.safetensors [options]

Writes logits [N, K] and for every tap NAME.z and NAME.g (pooled activation and gradient, [N, C]) and NAME.x = alpha z g;
of images also input [N, 3, H, W], what the network saw.

  --tensor F           little-endian float32, NCHW, already normalised
  --shape N,C,H,W      of --tensor
  --layers a,b=KIND    taps: names of ONNX tensors; KIND sum (default), nhwc, mean, cls or none. "auto" chooses
  --profile P          preprocessing, taps and alphas of a profile
  --preset NAME        preprocessing: imagenet, cifar10, tf or a JSON file
  --alpha a,b          one a layer, or one for all (1)
  --out F              ${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  tensor: { type: 'string' },
  shape: { type: 'string' },
  layers: { type: 'string' },
  profile: { type: 'string' },
  preset: { type: 'string' },
  alpha: { type: 'string' },
  out: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal }) {
  const model = required(values, 'model');
  const out = required(values, 'out');
  if (values.tensor && paths.length > 0) throw new UsageError('--tensor and images exclude each other');
  if (!values.tensor && paths.length === 0) throw new UsageError('states needs --tensor or images');
  if (values.tensor && !values.shape) throw new UsageError('--shape is needed with --tensor: N,C,H,W');
  if (!values.tensor && !values.profile && !values.preset) throw new UsageError('images need --profile or --preset, which say how to prepare them');
  if (values.profile && (values.preset || values.layers)) throw new UsageError('--profile brings its own layers and preprocessing');
  const alphas = numbersOf(values, 'alpha', { min: Number.MIN_VALUE });
  const shape = values.tensor ? shapeOf(values) : [];
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const work = values.tensor ? { count: shape[0], items: readRows(values.tensor, shape) } : await imageWork(paths, skipped);
  const execution = runOptions(values);
  const workers = Math.min(execution.workers, Math.max(work.count, 1));
  const taps = parseLayers(layersOf(values.layers));
  const preprocess = await readPreset(values.preset);
  const { pool, info } = await openPool(host, { model, profile: values.profile, preprocess, taps, ...execution, workers, signal });
  /** @type {any[]} */
  const rows = [];
  try {
    let done = 0;
    const onProgress = () => terminal.progress('running', ++done, work.count);
    if (values.tensor) {
      const one = (/** @type {any} */ item) => pool.run({ kind: 'states', ...item }, { signal, transfer: [item.tensor.buffer] }).finally(onProgress);
      for await (const row of inOrder(work.items, one, 2 * pool.size)) rows.push(row);
    } else {
      const images = /** @type {any[]} */ (work.items);
      for await (const { states } of collectStates(host, pool, images, { input: true, signal, onError: skipped.add, onProgress })) rows.push(states);
    }
  } finally {
    terminal.endProgress();
    pool.close();
  }
  if (rows.length === 0) throw new NacError('NOT_FOUND', 'there is nothing to write: no image could be read');
  const alphaOf = alphasFor(rows[0].taps, alphas, info.profile?.layers);
  const tensors = tensorsOf(rows, alphaOf, !values.tensor);
  const metadata = { format: 'nac-states', alpha: JSON.stringify(alphaOf), taps: JSON.stringify(rows[0].taps), variant: info.variant };
  await writeOutput(out, safetensors(tensors, metadata));
  const report = { schema: 'nac.states/1', model, out, variant: info.variant, images: rows.length, taps: rows[0].taps, errors: skipped.errors };
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else terminal.log(`${out}: ${rows.length} images, ${rows[0].taps.map((/** @type {any} */ tap) => `${tap.name} (${tap.neurons})`).join(', ')}`);
  return skipped.errors.length > 0 ? 3 : 0;
}

/** @param {Record<string, any>} values */
function shapeOf(values) {
  const shape = /** @type {number[]} */ (numbersOf(values, 'shape', { min: 1, integer: true }));
  if (shape.length !== 4) throw new UsageError(`--shape ${values.shape}: four sizes are needed, N,C,H,W`);
  return shape;
}

/** @param {string[]} paths @param {ReturnType<typeof makeSkipped>} skipped */
async function imageWork(paths, skipped) {
  const items = await listImages(paths, skipped.add);
  return { count: items.length, items };
}

/**
 * One image of the file after another: a batch may be larger than memory.
 * @param {string} file
 * @param {number[]} shape
 */
async function* readRows(file, [N, C, H, W]) {
  const bytes = 4 * C * H * W;
  if (bytes > LARGEST_ROW) throw new NacError('LIMIT_EXCEEDED', `--shape: one image of ${C} x ${H} x ${W} float32 is larger than 2 GiB`);
  const handle = await open(file).catch((error) => {
    throw new NacError('NOT_FOUND', `${file}: ${reasonOf(error)}`);
  });
  try {
    const { size } = await handle.stat();
    if (size !== N * bytes) throw new NacError('MISMATCH', `${file}: ${size} bytes, but ${N} x ${C} x ${H} x ${W} float32 are ${N * bytes}`);
    for (let n = 0; n < N; ++n) {
      const tensor = new Float32Array(C * H * W);
      await handle.read(new Uint8Array(tensor.buffer), 0, bytes, n * bytes);
      yield { tensor, dims: [C, H, W] };
    }
  } finally {
    await handle.close();
  }
}

/**
 * @param {{ name: string }[]} taps
 * @param {number[] | undefined} given
 * @param {{ alpha: number }[] | undefined} layers of the profile
 * @returns {number[]}
 */
function alphasFor(taps, given, layers) {
  if (given && given.length !== 1 && given.length !== taps.length)
    throw new UsageError(`--alpha has ${given.length} values, but there are ${taps.length} layers`);
  return taps.map((_, tap) => given?.[given.length === 1 ? 0 : tap] ?? layers?.[tap].alpha ?? 1);
}

/**
 * @param {any[]} rows
 * @param {number[]} alphas
 * @param {boolean} withInput
 */
function tensorsOf(rows, alphas, withInput) {
  const N = rows.length;
  const { taps, logits } = rows[0];
  const tensors = [{ name: 'logits', shape: [N, logits.length], rows: rows.map((row) => row.logits) }];
  taps.forEach((/** @type {any} */ { name, neurons }, /** @type {number} */ tap) => {
    const shape = [N, neurons];
    tensors.push({ name: `${name}.z`, shape, rows: rows.map((row) => row.z[tap]) });
    tensors.push({ name: `${name}.g`, shape, rows: rows.map((row) => row.g[tap]) });
    // In float32 after each product, as the core computes it.
    const alpha = Math.fround(alphas[tap]);
    const product = (/** @type {any} */ row) => row.z[tap].map((/** @type {number} */ z, /** @type {number} */ c) => alpha * Math.fround(z * row.g[tap][c]));
    tensors.push({ name: `${name}.x`, shape, rows: rows.map(product) });
  });
  if (withInput) {
    const [, H, W, C] = rows[0].dims;
    const odd = rows.find((row) => row.dims[1] !== H || row.dims[2] !== W);
    if (odd) throw new NacError('MISMATCH', `images became inputs of different sizes (${H} x ${W}, ${odd.dims[1]} x ${odd.dims[2]}): a preset that crops makes them equal`);
    tensors.push({ name: 'input', shape: [N, C, H, W], rows: rows.map((row) => toPlanes(row.input, H * W, C)) });
  }
  return tensors;
}

/** HWC to CHW.
 * @param {Float32Array} pixels @param {number} count @param {number} C
 */
function toPlanes(pixels, count, C) {
  const planes = new Float32Array(pixels.length);
  for (let c = 0; c < C; ++c) for (let p = 0; p < count; ++p) planes[c * count + p] = pixels[p * C + c];
  return planes;
}
