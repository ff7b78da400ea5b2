// @ts-check
/** What the page says. Numbers and codes become sentences here and nowhere else. */

/** @typedef {import('../wasm/js/result.js').Result} Result */

/** @param {number} fraction */
export function percent(fraction) {
  const value = 100 * fraction;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value >= 99.95 || value < 10 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)} %`;
}

/** @param {number | null | undefined} p */
export const shortP = (p) => (typeof p !== 'number' ? 'no p-value' : p < 0.001 ? 'p < 0.001' : `p ${p.toFixed(3)}`);

/** @param {number} milliseconds */
export const duration = (milliseconds) => (milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds).toString());

/** @param {number} bytes */
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** @param {number} count */
export const bytes = (count) => (count < 1e5 ? `${count.toLocaleString('en')} ${count === 1 ? 'byte' : 'bytes'}` : megabytes(count));

/** @param {Result} result */
export function verdictTitle({ verdict }) {
  if (verdict === null) return 'No verdict';
  return verdict === 'in' ? 'In-distribution' : 'Out-of-distribution';
}

/** @param {Result} result */
export function verdictSentence({ verdict, pValue }) {
  if (verdict === null || pValue === null) return 'This profile has no threshold, so there is a score but no verdict.';
  const share = pValue < 0.001 ? 'Almost none' : `Only ${percent(pValue)}`;
  if (verdict === 'out') return `${share} of the familiar images held out for comparison score this low. The neurons are in states they have hardly known.`;
  return `${percent(pValue)} of the familiar images held out for comparison score no higher. The neurons are in states they know.`;
}

/**
 * Against the held-out images that the network took for the same class.
 * @param {Result} result
 */
export function classSentence({ byClass, verdict, label }) {
  if (!byClass || typeof byClass.pValue !== 'number') return '';
  const share = `Among those that were taken for “${label}” alone, ${byClass.pValue < 0.001 ? 'almost none' : percent(byClass.pValue)} score no higher`;
  return byClass.verdict === verdict ? `${share}.` : `${share}: by that measure it is ${byClass.verdict === 'out' ? 'out-of-distribution' : 'in-distribution'}.`;
}

/** The detectors, coverage first. All high = in-distribution. */
export const METHODS = /** @type {const} */ ([
  { key: 'nac', title: 'NAC', what: 'neuron coverage' },
  { key: 'msp', title: 'MSP', what: 'softmax maximum' },
  { key: 'energy', title: 'Energy', what: 'log-sum-exp' },
  { key: 'maxLogit', title: 'Max logit', what: 'largest logit' },
]);

/**
 * What the baselines say, each at the same rate of false alarms as coverage.
 * @param {Result} result
 * @returns {{ tone: 'unknown' | 'same' | 'split', text: string }}
 */
export function agreement({ verdict, baselines, baselineThresholds: thresholds }) {
  if (verdict === null || !thresholds) return { tone: 'unknown', text: 'High means familiar in all four. This profile has no thresholds for the baselines.' };
  const others = METHODS.slice(1).map(({ key, title }) => {
    const limit = thresholds[/** @type {'msp'} */ (key)];
    return { title, verdict: limit !== null && baselines[/** @type {'msp'} */ (key)] < limit ? 'out' : 'in' };
  });
  const against = others.filter((one) => one.verdict !== verdict).map(({ title }) => title);
  if (against.length === 0) return { tone: 'same', text: 'They agree. All thresholds let the same share of familiar images through as false alarms.' };
  const names = against.length === 1 ? against[0] : `${against.slice(0, -1).join(', ')} and ${against.at(-1)}`;
  return { tone: 'split', text: verdict === 'out'
    ? `${names} would have let this image pass: the answer looks ordinary, the state of the neurons does not.`
    : `${names} would have flagged this image: the state of the neurons is familiar, the answer is unsure.` };
}

/**
 * Where coverage and the softmax tell different stories; null where they do not.
 * @param {Result} result
 */
export function disagreement({ verdict, baselines, label }) {
  if (verdict === 'out' && baselines.msp >= 0.9)
    return `The softmax is ${percent(baselines.msp)} sure of “${label}”. Coverage disagrees: the answer is confident, the state is not familiar.`;
  if (verdict === 'in' && baselines.msp < 0.5)
    return `The state is familiar, yet the softmax gives its best label only ${percent(baselines.msp)}: perhaps between two known classes.`;
  return null;
}

/** @param {Result} result @param {string} name */
export function spokenVerdict(result, name) {
  const p = result.pValue === null ? '' : `, p-value ${result.pValue.toFixed(3)}`;
  return `${name}: ${verdictTitle(result)}. Score ${result.score.toFixed(2)}${p}. The network says ${result.label}, ${percent(result.probability)}.`;
}

/**
 * An error as a person wants to read it.
 * @param {any} error
 * @param {Subject} [subject] what was being read; model: or its profile, or the page's own files; onnx: a model alone
 * @returns {{ title: string, text: string, hint: string, mark: string }} mark: a sign that stands for it
 */
export function explainError(error, subject = 'image') {
  if (subject === 'camera')
    return { mark: '◉', title: 'There is no picture from the camera', text: String(error.message), hint: 'It may be missing, in use elsewhere, or this page isn’t allowed to use it: the browser’s address bar says.' };
  const mark = { LIMIT_EXCEEDED: '⤢', OUT_OF_MEMORY: '▦', MISMATCH: '≠', NO_SIMD: '⌛', NOT_FOUND: '∅' }[String(error?.code)] ?? '?';
  return { mark, ...sentences(error, subject) };
}

/** @typedef {'image' | 'model' | 'onnx' | 'camera'} Subject */

/** @param {any} error @param {Subject} subject */
function sentences(error, subject) {
  // Figures of more than four digits are hard to compare.
  const text = String(error?.message ?? error).replace(/(?<![\w.#])\d{5,}(?![\w.])/g, (digits) => Number(digits).toLocaleString('en'));
  if (error?.files) {
    const [it, comes] = error.files.length === 1 ? [`“${error.files[0]}”`, 'it'] : [`${error.files.length} files, “${error.files[0]}” among them`, 'them'];
    return { title: 'A part of this model is missing', text, hint: `Its weights lie in ${it}. Drop ${comes} here, too, or choose ${comes}: the model is kept until then.` };
  }
  if (subject === 'model' && ['MALFORMED', 'UNSUPPORTED', 'LIMIT_EXCEEDED', 'NOT_FINITE', 'INVALID_ARGUMENT'].includes(error?.code))
    return { title: 'This model or profile can’t be used', text, hint: 'A detector needs two files that belong together: an .onnx model and the .safetensors profile made from it. Drop both at once.' };
  if (subject === 'onnx') {
    if (error?.code === 'UNSUPPORTED') return { title: 'This model has something that isn’t supported', text, hint: 'Models are ONNX files of image classifiers, opset 7 to 25. The operator or feature is named below.' };
    if (error?.code === 'LIMIT_EXCEEDED') return { title: 'This model is too large', text, hint: 'The limit keeps one file from taking all the memory of this tab.' };
    if (error?.code === 'MALFORMED') return { title: 'This isn’t an ONNX model', text, hint: 'It may be damaged or cut off, or another kind of file. torch.onnx.export writes the right kind.' };
  }
  switch (error?.code) {
    case 'MALFORMED':
      return { title: 'This file can’t be read', text, hint: 'It may be damaged or cut off. Images can be PNG, JPEG, or whatever else this browser shows (WebP, AVIF, GIF).' };
    case 'UNSUPPORTED':
      return { title: 'This isn’t an image we can read', text, hint: 'Images can be PNG, JPEG, or whatever else this browser shows (WebP, AVIF, GIF).' };
    case 'LIMIT_EXCEEDED':
      return { title: 'This image is too large', text, hint: 'The limit keeps one file from taking all the memory of this tab. A smaller copy will do: the network sees a small one anyway.' };
    case 'OUT_OF_MEMORY':
      return { title: 'Not enough memory', text, hint: 'Closing other tabs may help; a smaller image surely does.' };
    case 'MISMATCH':
      return { title: 'The profile belongs to another model', text, hint: 'A profile describes the neurons of one exact model file. Drop the .onnx and the .safetensors made from it together.' };
    case 'NO_SIMD':
      return { title: 'This browser is too old for the engine', text, hint: 'Any current Chrome, Edge, Firefox or Safari will do. It needs nothing else.' };
    case 'NOT_FOUND':
      if (subject === 'image') return { title: 'This file can’t be read any more', text, hint: 'It was moved, changed or deleted since it was chosen. Choose it again.' };
      return { title: 'A file of this page is missing', text, hint: 'If you host the page, see that models/ and the .wasm files came along.' };
    case 'TIMEOUT':
      return { title: 'This takes too long', text, hint: 'It was stopped, so that the others can go on. A smaller image or network may do.' };
    case 'WORKER_FAILED':
      return { title: 'A worker stopped', text, hint: 'Reload the page; if it happens again with the same image, the image is worth a bug report.' };
    default:
      return { title: 'That didn’t work', text, hint: 'Reloading the page starts afresh.' };
  }
}
