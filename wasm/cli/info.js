// @ts-check
/** nac info: what a model or a profile holds. */
import { NacError } from '../js/error.js';
import { host, readBytes } from '../js/host-node.js';
import { inspect } from '../js/inspect.js';
import { readFiles } from '../js/model-source.js';
import { UsageError, numbersOf } from './shared/args.js';
import { named } from './shared/files.js';
import { makeEngine } from './shared/model.js';

export const summary = 'What a model or a profile holds';

export const help = `
nac info FILE [--shape H,W] [--json]

Of an ONNX model: inputs, operators, taps that can be chosen, multiply-adds and memory. Of a profile: model, layers, images,
threshold and preprocessing. Weights that a model keeps in other files (model.onnx.data) are read from beside it, by every
command.

  --shape H,W          input size, for a model that leaves it free (224,224)
  --json               one JSON document on standard output
`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = { json: { type: 'boolean' }, shape: { type: 'string' } };

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }) {
  if (paths.length !== 1) throw new UsageError('info needs one file');
  const shape = /** @type {[number, number] | undefined} */ (numbersOf(values, 'shape', { min: 1, max: 32768, integer: true }));
  if (shape && shape.length !== 2) throw new UsageError(`--shape ${values.shape}: two sizes are needed, H,W`);
  const [file] = paths;
  const bytes = await readBytes(file, { kind: 'model' });
  const engine = await makeEngine();
  const profile = isSafetensors(bytes);
  // A model that lacks some of its weights is described all the same.
  const files = profile ? [] : await readFiles(host, file, bytes).catch((error) => (error.files ? [] : Promise.reject(error)));
  const document = await named(file, () => (profile ? ofProfile(engine, bytes) : ofModel(engine, bytes, { files, shape })));
  const { text, ...facts } = document;
  if (values.json) process.stdout.write(`${JSON.stringify({ schema: 'nac.info/1', file, ...facts }, null, 2)}\n`);
  else process.stdout.write(`${file}: ${text.join('\n')}\n`);
  return 0;
}

/** As --layers takes it.
 * @param {{ name: string, pool: string }} tap
 */
function tapText({ name, pool }) {
  return pool === 'sum' ? name : `${name}=${pool}`;
}

/** A safetensors file begins with the length of its header and the header's brace; no ONNX file does.
 * @param {Uint8Array} bytes
 */
function isSafetensors(bytes) {
  return bytes.length > 8 && bytes[8] === 0x7b && bytes[6] === 0 && bytes[7] === 0;
}

/**
 * @param {import('../js/engine.js').Engine} engine
 * @param {Uint8Array} bytes
 */
function ofProfile(engine, bytes) {
  const profile = engine.openProfile(bytes);
  const metadata = Object.fromEntries(profile.metadataKeys.map((key) => [key, profile.metadata(key)]));
  const { images, layers, hashCounts } = profile;
  const calibration = profile.calibrated
    ? { images: profile.calibration.length, falseAlarm: profile.falseAlarm, threshold: profile.threshold, byClass: thresholdsByClass(profile, metadata.labels) }
    : null;
  const text = [
    `profile of ${metadata.model?.name || 'a model'}, ${images} images`,
    `model    sha256 ${metadata.model?.sha256 ?? '-'}`,
    `labels   ${Array.isArray(metadata.labels) ? `${metadata.labels.length}: ${metadata.labels.slice(0, 5).join(', ')}${metadata.labels.length > 5 ? ', …' : ''}` : '-'}`,
    ...layers.map(({ name, pool, neurons, alpha, M, O }) => `layer    ${name}=${pool}: ${neurons} neurons, alpha ${Number(alpha.toPrecision(4))}, ${M} edges, filled by ${O}`),
    `threshold ${calibration ? `${calibration.threshold.toFixed(4)} (${100 * calibration.falseAlarm} % false alarms, ${calibration.images} images)` : 'none: not calibrated'}`,
    `by class ${rangeOf(calibration?.byClass ?? [])}`,
    `preprocess ${JSON.stringify(metadata.preprocess ?? null)}`,
    `made by  ${metadata.provenance?.command ?? '-'}`,
  ];
  return { kind: 'profile', images, layers, calibration, hashes: hashCounts, metadata, text };
}

/** @param {{ threshold: number }[]} byClass */
function rangeOf(byClass) {
  const sorted = byClass.map(({ threshold }) => threshold).sort((a, b) => a - b);
  return sorted.length === 0 ? 'no class has images enough for a threshold of its own' : `${sorted.length} classes, thresholds from ${sorted[0].toFixed(4)} to ${sorted[sorted.length - 1].toFixed(4)}`;
}

/**
 * Of the classes that have one of their own.
 * @param {import('../js/engine/profile.js').Profile} profile
 * @param {any} labels
 */
function thresholdsByClass(profile, labels) {
  const names = Array.isArray(labels) ? labels : [];
  return names.map((label, classIndex) => ({ label, threshold: profile.classThreshold(classIndex) })).filter(({ threshold }) => !Number.isNaN(threshold));
}

/**
 * @param {import('../js/engine.js').Engine} engine
 * @param {Uint8Array} bytes
 * @param {{ files: import('../js/model-source.js').NamedBytes[], shape: [number, number] | undefined }} options
 */
function ofModel(engine, bytes, options) {
  const { model: info, session, sizeIs, error } = inspect(engine, bytes, options);
  const note = error ? `it cannot be run here: ${error.message}` : sizeIs === 'free' ? 'sizes are for an input of 224 x 224 (--shape chooses another)' : '';
  const list = (/** @type {any[]} */ values) => (values ?? []).map(({ name, dims }) => `${name} [${dims?.map((/** @type {any} */ size) => size ?? '?').join(', ') ?? '?'}]`).join(', ');
  const text = [
    `ONNX model ${info.name || ''}${info.producer ? `, made by ${info.producer}` : ''}, opset ${info.opset}`,
    `inputs    ${list(info.inputs)}`,
    `outputs   ${list(info.outputs)}`,
    `operators ${Object.entries(info.operators ?? {}).map(([name, count]) => `${name} ${count}`).join(', ')}`,
    ...(info.unsupported.length > 0 ? [`not supported ${info.unsupported.join(', ')}`] : []),
    `parameters ${info.parameters}`,
    ...(info.files.length > 0 ? [`weights   in ${info.files[0].name}${info.files.length > 1 ? ` and ${info.files.length - 1} more` : ''}`] : []),
  ];
  if (session) {
    const mebi = (/** @type {number} */ size) => `${(size / 2 ** 20).toFixed(1)} MiB`;
    if (session.logits !== 'logits') text.push(`logits    ${session.logits}: the model's output is a mean of softmaxes; energy tells nothing of it`);
    text.push(
      `multiply-adds ${(session.macsForward / 1e6).toFixed(1)} M forward, ${(session.macsBackward / 1e6).toFixed(1)} M backward`,
      `memory    ${mebi(session.arenaBytes)} activations, ${mebi(session.weightBytes)} weights`,
      `taps      auto: ${(session.taps ?? []).map(tapText).join(', ')}`,
      ...(session.candidates ?? []).map((/** @type {any} */ tap) => `  ${tapText(tap)}${tap.shape ? ` [${tap.shape.join(', ')}]` : ''}`),
    );
  }
  if (note) text.push(note);
  return { kind: 'model', model: info, session, ...(note && { note }), text };
}
