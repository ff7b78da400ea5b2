// @ts-check
/** Results as files. */

const STAGES = /** @type {const} */ (['decode', 'preprocess', 'forward', 'backward', 'score']);

/** @param {string} name @param {Blob} blob */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * JSON as `nac score --json` writes it; of an explanation what is not a picture.
 * @param {any} value
 */
export function toJson(value) {
  const plain = (/** @type {string} */ key, /** @type {any} */ item) => (key === 'view' ? undefined : ArrayBuffer.isView(item) ? Array.from(/** @type {any} */ (item)) : item);
  return new Blob([JSON.stringify(value, plain, 2), '\n'], { type: 'application/json' });
}

/**
 * @param {any[]} results
 * @param {any[]} errors
 * @param {{ model: string, variant: string }} about
 */
export function toDocument(results, errors, { model, variant }) {
  return { schema: 'nac.scores/1', model, variant, results, errors: errors.map(({ file, error }) => ({ file, message: error.message })) };
}

/** The columns of `nac score --csv`. @param {any[]} results */
export function toCsv(results) {
  const layers = results[0]?.layers.map((/** @type {any} */ layer) => `layer:${layer.name}`) ?? [];
  const lines = [['file', 'verdict', 'score', 'threshold', 'pValue', 'label', 'classIndex', 'probability', 'msp', 'energy', 'maxLogit', ...layers, ...STAGES.map((stage) => `ms:${stage}`), 'decoder', 'variant']];
  for (const r of results) {
    lines.push([r.file, r.verdict, r.score, r.threshold, r.pValue, r.label, r.classIndex, r.probability, r.baselines.msp, r.baselines.energy, r.baselines.maxLogit,
      ...r.layers.map((/** @type {any} */ layer) => layer.score), ...STAGES.map((stage) => r.ms[stage].toFixed(3)), r.decoder, r.variant]);
  }
  return new Blob(lines.map((cells) => `${cells.map(cell).join(',')}\r\n`), { type: 'text/csv' });
}

/** RFC 4180. @param {any} value */
function cell(value) {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
