// @ts-check
/** nac score: is each image one that the network knows? */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { NacError } from '../js/error.js';
import { loadDetector } from '../js/node.js';
import { preferClass } from '../js/result.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, numberOf, runOptions } from './shared/args.js';
import { modelAndProfile, safeName, writeOutput } from './shared/files.js';
import { drawHeatMap } from './shared/heatmap.js';
import { listImages } from './shared/images.js';
import { checkNumbers } from './shared/self-test.js';
import { makeSkipped } from './shared/skipped.js';
import { table } from './shared/terminal.js';
import { timeLayers, timingsTable } from './shared/timings.js';

/** @typedef {import('../js/result.js').Result} Result */

export const summary = 'Score images: in-distribution or not';

export const help = `
nac score [options] PATH…

Scores PNG and JPEG files, folders of them and sprites (F.png#32x32, F.32x32.png).

  --model M.onnx       (the bundled CIFAR-10 ResNet-18)
  --profile P          (beside the model, the same name with .safetensors)
  --per-class          verdicts by the threshold of the predicted class, where the profile has one: false alarms are then as rare
                       in every class, and more of what is out is missed
  --csv                one line an image, with a header
  --explain            the most uncovered neurons of every layer, and with --out heat maps
  --out DIR            where --explain writes its PNG files
  --timings            where the time goes: milliseconds and GFLOP/s of every layer, forward and backward
  --fail-over RATE     exit code 1 when a larger share than RATE (0..1) is out of distribution${RUN_HELP}
Exit code 3 when an image could not be read; the others are scored all the same.
`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  profile: { type: 'string' },
  'per-class': { type: 'boolean' },
  csv: { type: 'boolean' },
  explain: { type: 'boolean' },
  out: { type: 'string' },
  timings: { type: 'boolean' },
  'fail-over': { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal }) {
  if (paths.length === 0) throw new UsageError('score needs images: files, folders or sprites');
  if (values.json && values.csv) throw new UsageError('--json and --csv exclude each other');
  if (values.timings && values.csv) throw new UsageError('--timings and --csv exclude each other');
  if (values.out && !values.explain) throw new UsageError('--out is for --explain');
  const failOver = numberOf(values, 'fail-over', { min: 0, max: 1 });
  const execution = runOptions(values);
  const { model, profile } = modelAndProfile(values);
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const images = await listImages(paths, skipped.add);
  if (images.length === 0 && skipped.errors.length === 0) throw new NacError('NOT_FOUND', `${paths.join(', ')}: no PNG or JPEG file there`);
  const workers = Math.min(execution.workers, Math.max(images.length, 1));
  const detector = await loadDetector({ model, profile, ...execution, workers, signal });
  /** @type {Result[]} */
  const results = [];
  try {
    await checkNumbers(detector, profile, { terminal, signal });
    let done = 0;
    for await (const result of detector.scoreAll(images, { explain: values.explain, signal })) {
      terminal.progress('scoring', ++done, images.length);
      if (result.error) skipped.add(result.file, result.error);
      else {
        const settled = await settleExplanation(/** @type {Result} */ (result), values.out);
        results.push(values['per-class'] ? preferClass(settled) : settled);
      }
    }
  } finally {
    terminal.endProgress();
    detector.close();
  }
  if (results.length > 0 && results[0].verdict === null) terminal.log(`${profile}: not calibrated, so there are scores but no verdicts`);

  const timings = values.timings ? await timeLayers({ model, profile, variant: execution.variant }) : undefined;
  const document = { schema: 'nac.scores/1', model, profile, variant: detector.info.variant, results, errors: skipped.errors, timings };
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else if (values.csv) process.stdout.write(toCsv(results));
  else process.stdout.write(toTable(results, terminal) + (timings ? timingsTable(timings) : ''));

  if (skipped.errors.length > 0) return 3;
  const out = results.filter(({ verdict }) => verdict === 'out').length;
  if (failOver !== undefined && results.length > 0 && out / results.length > failOver) {
    terminal.log(`${out} of ${results.length} images are out of distribution: more than ${failOver}`);
    return 1;
  }
  return 0;
}

/**
 * Heat maps become files, and their names stay in the result.
 * @param {Result} result
 * @param {string | undefined} folder
 * @returns {Promise<any>}
 */
async function settleExplanation(result, folder) {
  const { explanation, ...rest } = result;
  if (!explanation) return result;
  const layers = [];
  for (const { name, neurons, map } of explanation.layers) {
    let heatMap = null;
    if (folder && map) {
      await mkdir(folder, { recursive: true });
      heatMap = path.join(folder, `${safeName(result.file)}.${safeName(name)}.png`);
      await writeOutput(heatMap, [drawHeatMap(map, explanation.view)]);
    }
    layers.push({ name, neurons, heatMap });
  }
  return { ...rest, explanation: { layers } };
}

/** @param {number | null} value @param {number} [digits] */
const fixed = (value, digits = 3) => (value === null ? '-' : value.toFixed(digits));

/**
 * @param {any[]} results
 * @param {import('./shared/terminal.js').Terminal} terminal
 */
function toTable(results, terminal) {
  if (results.length === 0) return '';
  /** @type {import('./shared/terminal.js').Column[]} */
  const columns = [
    { title: 'file', width: 32, cut: 'start' },
    { title: 'verdict', width: 7 },
    { title: 'score', width: 5, align: 'right' },
    { title: 'p', width: 5, align: 'right' },
    { title: 'label', width: 14 },
    { title: 'prob', width: 5, align: 'right' },
  ];
  const rows = results.map((r) => [r.file, r.verdict ?? '-', fixed(r.score), fixed(r.pValue), r.label, fixed(r.probability)]);
  const paint = (/** @type {string} */ cell, /** @type {number} */ row, /** @type {number} */ column) =>
    column === 1 ? terminal.paint(results[row].verdict === 'out' ? 'red' : 'green', cell) : cell;
  return table(columns, rows, paint) + results.map(toExplanation).join('') + toSummary(results);
}

/** @param {any} result */
function toExplanation({ file, explanation, layers }) {
  if (!explanation) return '';
  const lines = [`\n${file}`];
  explanation.layers.forEach((/** @type {any} */ { name, neurons, heatMap }, /** @type {number} */ i) => {
    lines.push(`  ${name}  score ${fixed(layers[i].score)}${heatMap ? `  ${heatMap}` : ''}`);
    const list = neurons.slice(0, 4).map((/** @type {any} */ n) => `#${n.neuron} covered ${n.coverage.toFixed(2)}`);
    lines.push(`    least known: ${list.join(', ')}`);
  });
  return `${lines.join('\n')}\n`;
}

/** @param {any[]} results */
function toSummary(results) {
  const out = results.filter(({ verdict }) => verdict === 'out').length;
  const times = results.map(({ ms }) => ms.decode + ms.preprocess + ms.forward + ms.backward + ms.score).sort((a, b) => a - b);
  const median = times[times.length >> 1].toFixed(1);
  const share = ((100 * out) / results.length).toFixed(1);
  return `\n${results.length} image${results.length === 1 ? '' : 's'}, ${out} out of distribution (${share} %); median ${median} ms\n`;
}

/** @param {any[]} results */
function toCsv(results) {
  const layers = results[0]?.layers.map((/** @type {any} */ layer) => `layer:${layer.name}`) ?? [];
  const stages = ['decode', 'preprocess', 'forward', 'backward', 'score'];
  const header = ['file', 'verdict', 'score', 'threshold', 'pValue', 'label', 'classIndex', 'probability', 'msp', 'energy', 'maxLogit'];
  const lines = [[...header, ...layers, ...stages.map((stage) => `ms:${stage}`), 'decoder', 'variant']];
  for (const r of results) {
    const { msp, energy, maxLogit } = r.baselines;
    const start = [r.file, r.verdict, r.score, r.threshold, r.pValue, r.label, r.classIndex, r.probability, msp, energy, maxLogit];
    const scores = r.layers.map((/** @type {any} */ layer) => layer.score);
    lines.push([...start, ...scores, ...stages.map((stage) => r.ms[stage].toFixed(3)), r.decoder, r.variant]);
  }
  return lines.map((cells) => `${cells.map(csvCell).join(',')}\n`).join('');
}

/** RFC 4180.
 * @param {any} value
 */
function csvCell(value) {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
