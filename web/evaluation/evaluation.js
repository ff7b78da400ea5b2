// @ts-check
/** Two folders, one of what the network knows and one of what it doesn't: how well do scores tell them apart? */
import '../intake/folder.js';
import { compareSets, scoreSet } from '../../wasm/js/index.js';
import { compareHistogram } from '../charts/compare.js';
import { rocChart } from '../charts/roc.js';
import { announce, h, replace } from '../dom.js';
import { download, saveChart, toJson } from '../export.js';
import { pathOf } from '../intake/paths.js';
import { toImage, toPictures } from '../intake/pictures.js';
import { METHODS, percent } from '../words.js';

/** @typedef {import('../../wasm/js/evaluate.js').ScoredSet & { path: string, failed: number }} Scored */
/** @typedef {import('../engine/detector.js').Loaded} Loaded */

const SETS = /** @type {const} */ ({
  id: { title: 'In-distribution folder', hint: 'What the network was trained for, but not the very images of the profile.' },
  ood: { title: 'Out-of-distribution folder', hint: 'What it should refuse.' },
});

export class Evaluation extends HTMLElement {
  /** Who answers. @type {() => Promise<Loaded>} */
  detector = () => Promise.reject(new Error('there is no detector'));
  /** @type {{ id: Scored | null, ood: Scored | null }} */
  #sets = { id: null, ood: null };
  /** Of the detector that scored the sets. @type {Loaded | null} */
  #by = null;
  #outcome = h('div', { class: 'outcome' });
  #method = /** @type {string} */ ('nac');

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const folder = (/** @type {'id' | 'ood'} */ set) => {
      const made = /** @type {import('../intake/folder.js').Folder} */ (document.createElement('nac-folder'));
      Object.assign(made.dataset, SETS[set]);
      made.addEventListener('nac-folder', (event) => { event.stopPropagation(); this.#score(set, made, /** @type {any} */ (event).detail.files); });
      return made;
    };
    this.append(
      h('section', { class: 'card step', 'aria-label': 'Two folders' }, h('h2', null, 'Two folders'),
        h('p', null, 'Every image is scored by coverage and by the baselines. Images that the profile was built or calibrated on are left out: their scores would prove nothing.'),
        h('div', { class: 'pair' }, folder('id'), folder('ood'))),
      this.#outcome);
  }

  /** @param {'id' | 'ood'} set @param {import('../intake/folder.js').Folder} folder @param {File[]} files */
  async #score(set, folder, files) {
    const control = new AbortController();
    this.#sets[set] = null;
    const pictures = await toPictures(files);
    folder.begin(pictures.length, { cancel: () => control.abort() });
    try {
      const loaded = await this.detector();
      // Scores of two detectors cannot be compared.
      if (this.#by && this.#by.detector !== loaded.detector) this.#sets = { id: null, ood: null };
      this.#by = loaded;
      let [done, failed] = [0, 0];
      const scored = await scoreSet(loaded.detector, pictures.map(toImage), { dropSeen: true, signal: control.signal, onProgress: () => folder.progress(++done), onError: () => ++failed });
      folder.end(said(scored, failed));
      if (scored.images > 0) this.#sets[set] = { ...scored, failed, path: pathOf(files[0]).split('/')[0] };
      await this.#compare();
    } catch (error) {
      folder.end(control.signal.aborted ? 'Cancelled.' : `That didn’t work: ${/** @type {any} */ (error)?.message}`);
    }
  }

  async #compare() {
    const { id, ood } = this.#sets;
    if (!id || !ood || !this.#by) return;
    const { detector, name } = this.#by;
    replace(this.#outcome, h('p', { class: 'hint', role: 'status' }, 'Resampling for the intervals…'));
    const methods = await compareSets(detector, id.scores, ood.scores);
    const document = {
      schema: 'nac.eval/1', model: name, variant: detector.info.variant,
      id: { path: id.path, images: id.images, accuracy: id.accuracy, flagged: id.flagged, seen: id.seen },
      sets: [{ name: ood.path, path: ood.path, images: ood.images, flagged: ood.flagged, seen: ood.seen, methods }],
    };
    const chart = h('div');
    const show = () => chart.replaceChildren(compareHistogram({
      id: id.scores[/** @type {'nac'} */ (this.#method)], ood: ood.scores[/** @type {'nac'} */ (this.#method)],
      threshold: this.#method === 'nac' ? detector.info.profile.threshold : null,
      label: `${this.#method}: scores of ${id.images} in-distribution and ${ood.images} other images`,
    }));
    const roc = rocChart(METHODS.map(({ key, title }) => ({ key, title, id: id.scores[key], ood: ood.scores[key] })));
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) => h('button', { type: 'button', click: act }, text);
    replace(this.#outcome,
      h('article', { class: 'card' }, h('h3', null, `${id.path} against ${ood.path}`), table(methods),
        h('p', { class: 'hint' }, 'In percent, with the central 95 % of 1000 resamples. FPR95: share of in-distribution images flagged when 95 % of the others are caught (OpenOOD); FPR95id: share of the others accepted when 95 % of in-distribution images are (ODIN).')),
      h('div', { class: 'pair' },
        h('article', { class: 'card' }, h('h3', null, 'ROC'), roc),
        h('article', { class: 'card' }, h('div', { class: 'row' }, h('h3', null, 'Scores'), h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Detector'),
          METHODS.map(({ key, title }) => h('label', null, h('input', { type: 'radio', name: 'method', checked: key === this.#method, change: () => { this.#method = key; show(); } }), h('span', null, title))))),
        chart, h('p', { class: 'hint' }, 'Above: in-distribution. Below: the others.'))),
      h('div', { class: 'row start' },
        button('Save JSON', () => download('evaluation.json', toJson(document))), button('Save scores (CSV)', () => download('scores.csv', toScoreCsv(id, ood))),
        button('Save ROC (PNG)', () => saveChart('roc.png', /** @type {any} */ (roc))), button('Save histogram (PNG)', () => saveChart('histogram.png', /** @type {any} */ (chart.firstElementChild)))));
    show();
    announce(`AUROC of coverage ${(100 * methods.nac.auroc).toFixed(1)} percent, of energy ${(100 * methods.energy.auroc).toFixed(1)} percent.`);
  }
}

/** @param {import('../../wasm/js/evaluate.js').ScoredSet} scored @param {number} failed */
function said({ images, seen, flagged, accuracy }, failed) {
  const parts = [`${images.toLocaleString('en')} images`];
  if (flagged !== null) parts.push(`${percent(flagged)} flagged`);
  if (accuracy !== undefined) parts.push(`accuracy ${percent(accuracy)}`);
  if (seen > 0) parts.push(`${seen} left out, the profile knows them`);
  if (failed > 0) parts.push(`${failed} unreadable`);
  return images > 0 ? parts.join(' · ') : `No image is left to evaluate: ${parts.slice(1).join(', ')}.`;
}

/** @param {Record<string, any>} methods */
function table(methods) {
  const value = (/** @type {number} */ share) => (100 * share).toFixed(1);
  const best = Math.max(...METHODS.map(({ key }) => methods[key].auroc));
  const titles = ['AUROC', 'interval', 'FPR95', 'FPR95id', 'AUPR in', 'AUPR out'];
  return h('div', { class: 'scroll' }, h('table', { class: 'metrics' },
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Detector')), titles.map((title) => h('th', { scope: 'col' }, title)))),
    h('tbody', null, METHODS.map(({ key, title, what }) => {
      const { auroc, fpr95, fpr95IdPositive, auprIn, auprOut, ci } = methods[key];
      return h('tr', { class: auroc === best ? 'best' : '' },
        h('th', { scope: 'row' }, h('span', { class: 'swatch', 'data-method': key }), title, h('span', { class: 'hint' }, what)),
        h('td', { class: 'number' }, value(auroc)), h('td', { class: 'number soft' }, ci.auroc.map(value).join('–')),
        [fpr95, fpr95IdPositive, auprIn, auprOut].map((share) => h('td', { class: 'number' }, value(share))));
    }))));
}

/** @param {Scored} id @param {Scored} ood */
function toScoreCsv(id, ood) {
  const lines = [['set', ...METHODS.map(({ key }) => key)].join(',')];
  for (const [set, { scores }] of /** @type {[string, Scored][]} */ ([['id', id], ['ood', ood]]))
    scores.nac.forEach((_, i) => lines.push([set, ...METHODS.map(({ key }) => scores[key][i])].join(',')));
  return new Blob([lines.join('\r\n'), '\r\n'], { type: 'text/csv' });
}

customElements.define('nac-evaluation', Evaluation);
