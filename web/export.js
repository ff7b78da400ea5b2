// @ts-check
/** Results as files. */

export const STAGES = /** @type {const} */ (['decode', 'preprocess', 'forward', 'backward', 'score']);

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

/** Coverage of every neuron. @param {import('../wasm/js/result.js').Result} result with explanation */
export function toNeuronCsv({ explanation }) {
  const lines = [['layer', 'neuron', 'coverage'].join(',')];
  for (const { name, coverage } of explanation?.layers ?? []) coverage.forEach((value, neuron) => lines.push(`${cell(name)},${neuron},${value}`));
  return new Blob([lines.join('\r\n'), '\r\n'], { type: 'text/csv' });
}

/**
 * What the least covered neurons' charts show: counts of in-distribution images a bin, and the bin that this image fell into.
 * @param {import('../wasm/js/result.js').Result} result with explanation
 * @param {import('./engine/detector.js').Detector} detector
 */
export async function toHistogramCsv({ explanation }, detector) {
  const lines = [['layer', 'neuron', 'from', 'to', 'images', 'this'].join(',')];
  for (const [layer, { name, neurons }] of (explanation?.layers ?? []).entries()) {
    const { edges, counts } = await detector.histograms(layer, neurons.map(({ neuron }) => neuron));
    neurons.forEach(({ neuron, bin }, i) => counts[i].forEach((count, b) => lines.push(`${cell(name)},${neuron},${edges[b]},${edges[b + 1]},${count},${Number(b === bin)}`)));
  }
  return new Blob([lines.join('\r\n'), '\r\n'], { type: 'text/csv' });
}

/** @param {string} name @param {HTMLCanvasElement} canvas */
export function saveCanvas(name, canvas) {
  canvas.toBlob((blob) => blob && download(name, blob));
}

// What a chart has from the style sheet, which a file of its own would lack.
const STYLES = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'opacity', 'font-size', 'font-weight', 'font-family', 'text-anchor'];
const SCALE = 2;

/**
 * A chart as it looks now, as a PNG of twice its size.
 * @param {string} name
 * @param {SVGSVGElement} chart
 */
export async function saveChart(name, chart) {
  const copy = /** @type {SVGSVGElement} */ (chart.cloneNode(true));
  const copies = [copy, ...copy.querySelectorAll('*')];
  [chart, ...chart.querySelectorAll('*')].forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const property of STYLES) copies[i].setAttribute(property, style.getPropertyValue(property));
  });
  const { width, height } = chart.viewBox.baseVal;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width * SCALE));
  copy.setAttribute('height', String(height * SCALE));
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(copy.outerHTML)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = width * SCALE;
  canvas.height = height * SCALE;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--card');
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  saveCanvas(name, canvas);
}

/** RFC 4180. @param {any} value */
function cell(value) {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
