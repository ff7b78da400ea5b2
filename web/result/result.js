// @ts-check
/** One image: verdict, place among the familiar ones, and why. Shows errors in the same place. */
import { scoreAxis } from '../charts/axis.js';
import { bar } from '../charts/bar.js';
import { drawHeatMap } from '../charts/heatmap.js';
import { coverageStrip } from '../charts/strip.js';
import { h, replace } from '../dom.js';
import { download, toJson } from '../export.js';
import { disagreement, duration, explainError, percent, verdictSentence, verdictTitle } from '../words.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

const STAGES = /** @type {const} */ (['decode', 'preprocess', 'forward', 'backward', 'score']);

export class ResultView extends HTMLElement {
  #url = '';
  /** What the heat map shows; stays from image to image. -1: the picture. */
  #layer = -1;

  /**
   * @param {Result} result with explanation
   * @param {{ file: File, calibration: Float32Array, back?: () => void }} about
   */
  show(result, { file, calibration, back }) {
    URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(file);
    const flag = disagreement(result);
    this.dataset.verdict = result.verdict ?? 'none';
    replace(this,
      back && h('button', { type: 'button', class: 'quiet back', click: back }, '← All images'),
      h('article', { class: 'card verdict-card' },
        this.#picture(result),
        h('div', { class: 'verdict' },
          h('p', { class: 'file' }, file.name),
          h('h2', null, h('span', { class: 'mark', 'aria-hidden': 'true' }, result.verdict === 'out' ? '!' : '✓'), verdictTitle(result)),
          h('p', { class: 'lead' }, verdictSentence(result)),
          h('dl', { class: 'facts' },
            fact('Score', result.score.toFixed(3)),
            fact('p-value', result.pValue === null ? '–' : result.pValue.toFixed(4)),
            fact('Label', result.label),
            fact('Time', `${duration(total(result))} ms`)),
          flag && h('p', { class: 'flag' }, flag))),
      h('article', { class: 'card' },
        h('h3', null, 'Among familiar images'),
        scoreAxis({
          calibration, threshold: result.threshold, score: result.score,
          label: `Score ${result.score.toFixed(3)}${result.threshold === null ? '' : `, threshold ${result.threshold.toFixed(3)}`}; ${calibration.length} held-out in-distribution images score from ${calibration[0]?.toFixed(2)} to ${calibration.at(-1)?.toFixed(2)}`,
        }),
        h('p', { class: 'hint' }, `Bars: scores of ${calibration.length.toLocaleString('en')} in-distribution images that the profile hasn’t seen. Left of the threshold is called out-of-distribution.`)),
      this.#layers(result),
      h('div', { class: 'pair' }, predictions(result), baselines(result)),
      stages(result),
      h('p', { class: 'row exports' },
        h('button', { type: 'button', click: () => download(`${baseName(file)}.nac.json`, toJson(result)) }, 'Save result (JSON)'),
        h('button', { type: 'button', click: () => this.#savePicture(file) }, 'Save picture (PNG)')),
    );
  }

  /** @param {Result} result */
  #picture(result) {
    const { view, layers } = /** @type {NonNullable<Result['explanation']>} */ (result.explanation);
    const original = h('img', { src: this.#url, alt: `${result.file}, as given` });
    original.addEventListener('load', () => original.classList.toggle('pixelated', Math.max(original.naturalWidth, original.naturalHeight) <= 128));
    original.addEventListener('error', () => original.remove());
    const canvas = h('canvas', { role: 'img', hidden: true });
    const draw = () => {
      const map = this.#layer >= 0 ? layers[this.#layer]?.map : null;
      canvas.hidden = this.#layer < 0;
      original.hidden = !canvas.hidden;
      canvas.setAttribute('aria-label', map ? `Heat map of uncovered activation in ${layers[this.#layer].name}` : '');
      drawHeatMap(canvas, view, map ?? null);
      caption.textContent = map ? 'What the network saw; bright: uncovered activation (relative to this picture’s most)' : '';
    };
    const caption = h('figcaption', { class: 'hint' });
    if (this.#layer >= 0 && !layers[this.#layer]?.map) this.#layer = -1;
    const choice = (/** @type {string} */ text, /** @type {number} */ layer) =>
      h('label', null, h('input', { type: 'radio', name: 'view', checked: layer === this.#layer, change: () => { this.#layer = layer; draw(); } }), h('span', null, text));
    const figure = h('figure', { class: 'picture' },
      h('div', { class: 'frame' }, original, canvas), caption,
      h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Show the picture or a layer’s heat map'),
        choice('Picture', -1), layers.map(({ name, map }, i) => map && choice(name, i)).reverse()));
    draw();
    return figure;
  }

  /** @param {Result} result */
  #layers(result) {
    return h('article', { class: 'card layers' },
      h('h3', null, 'Coverage by layer'),
      result.layers.map(({ name, neurons, score }, i) => h('section', { class: 'layer', 'data-layer': i },
        h('div', { class: 'layer-head' },
          h('span', { class: 'layer-name' }, name), h('span', { class: 'hint' }, `${neurons} neurons`),
          h('span', { class: 'number' }, score.toFixed(3))),
        bar(score, `Coverage of ${name}`),
        h('div', { class: 'strip-place' }),
        h('p', { class: 'hint least' }, 'least covered: ', result.explanation?.layers[i].neurons.slice(0, 5).map((one) =>
          h('span', { class: 'neuron', title: `state ${one.state.toFixed(4)}, Z ${one.z.toPrecision(3)}, G ${one.g.toPrecision(3)}` }, `#${one.neuron} ${percent(one.coverage)}`))))),
      h('p', { class: 'hint legend' }, 'One cell a neuron: ', h('span', { class: 'scale', 'aria-hidden': 'true' }), ' never in this state → often'));
  }

  /** Fills the strips in, which are computed after the verdict. @param {Float32Array[] | null} coverage */
  showCoverage(coverage) {
    coverage?.forEach((values, i) => {
      const section = this.querySelector(`[data-layer="${i}"]`);
      const bare = values.reduce((count, value) => count + (value < 0.05 ? 1 : 0), 0);
      section?.querySelector('.strip-place')?.replaceChildren(coverageStrip(values, `${bare} of ${values.length} neurons are in states that are covered less than 5 %`));
      section?.querySelector('.layer-head .hint')?.replaceChildren(`${values.length} neurons, ${bare} uncovered`);
    });
  }

  /** @param {any} error @param {{ file?: string, subject?: 'image' | 'model', retry?: { text: string, act: () => void }, back?: () => void }} [about] */
  showError(error, { file, subject, retry, back } = {}) {
    const { title, text, hint } = explainError(error, subject);
    this.dataset.verdict = 'error';
    replace(this,
      back && h('button', { type: 'button', class: 'quiet back', click: back }, '← All images'),
      h('article', { class: 'card error', role: 'alert', 'data-code': error?.code ?? '' },
        h('div', { class: 'error-mark', 'aria-hidden': 'true' }, '?'),
        h('div', null,
          file && h('p', { class: 'file' }, file),
          h('h2', null, title), h('p', { class: 'lead' }, hint),
          h('p', { class: 'hint' }, text),
          retry && h('p', null, h('button', { type: 'button', class: 'primary', click: retry.act }, retry.text)))));
  }

  /** @param {string} name */
  showBusy(name) {
    // What is there stays: a flash of nothing on each click would be a layout jump.
    this.setAttribute('aria-busy', 'true');
    if (this.childElementCount === 0) this.append(h('article', { class: 'card placeholder' }, h('p', { class: 'hint' }, name)));
  }

  /** @param {File} file */
  #savePicture(file) {
    const canvas = /** @type {HTMLCanvasElement} */ (this.querySelector('.frame canvas'));
    const layer = this.#layer < 0 ? 'seen' : `layer-${this.#layer}`;
    canvas.toBlob((blob) => blob && download(`${baseName(file)}.${layer}.png`, blob));
  }
}

/** @param {Result} result */
export const total = ({ ms }) => STAGES.reduce((sum, stage) => sum + ms[stage], 0);

/** @param {File} file */
const baseName = (file) => file.name.split('/').at(-1)?.replace(/\.\w+$/, '') ?? 'image';

/** @param {string} name @param {string} value */
const fact = (name, value) => h('div', null, h('dt', null, name), h('dd', null, value));

/** @param {Result} result */
function predictions({ top }) {
  return h('article', { class: 'card' }, h('h3', null, 'What the network says'),
    h('ol', { class: 'bars' }, top.slice(0, 3).map(({ label, probability }) =>
      h('li', null, h('span', null, label), bar(probability), h('span', { class: 'number' }, percent(probability))))),
    h('p', { class: 'hint' }, 'It can only choose among its own labels, whatever it is shown.'));
}

/** @param {Result} result */
function baselines({ baselines: { msp, energy, maxLogit } }) {
  const row = (/** @type {string} */ name, /** @type {string} */ what, /** @type {string} */ value) =>
    h('tr', null, h('th', { scope: 'row' }, name, h('span', { class: 'hint' }, what)), h('td', { class: 'number' }, value));
  return h('article', { class: 'card' }, h('h3', null, 'Baselines, for comparison'),
    h('table', null, h('tbody', null,
      row('MSP', 'largest softmax probability', msp.toFixed(4)),
      row('Energy', 'log-sum-exp of the logits', energy.toFixed(3)),
      row('Max logit', 'largest logit', maxLogit.toFixed(3)))),
    h('p', { class: 'hint' }, 'High means familiar in all three. This profile has no thresholds for them.'));
}

/** @param {Result} result */
function stages(result) {
  const { ms, variant, decoder } = result;
  const all = total(result);
  const strip = h('div', { class: 'stages', 'aria-hidden': 'true' }, STAGES.map((stage) => h('span', { 'data-stage': stage })));
  STAGES.forEach((stage, i) => (strip.children[i].style.flexGrow = String(ms[stage] / all)));
  return h('article', { class: 'card' }, h('h3', null, `Time: ${duration(all)} ms`), strip,
    h('dl', { class: 'facts small' }, STAGES.map((stage) => h('div', { 'data-stage': stage }, h('dt', null, stage), h('dd', null, `${duration(ms[stage])} ms`)))),
    h('p', { class: 'hint' }, `In a worker of this tab, ${variant} binary; ${decoder === 'core' ? 'decoded by the engine, to the same pixels everywhere' : 'decoded by this browser, so another browser may differ a little'}.`));
}

customElements.define('nac-result', ResultView);
