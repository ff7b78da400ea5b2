// @ts-check
/** What a model holds, where it is to be tapped, and how its images are prepared. */
import { h, replace } from '../dom.js';
import { megabytes } from '../words.js';

/** @typedef {import('../../wasm/js/inspect.js').Inspection & { preset: string }} Inspection */

const PRESETS = [
  { value: 'imagenet', text: 'ImageNet: short side 256, crop 224, its mean and deviation' },
  { value: 'cifar10', text: 'CIFAR-10: 32 × 32, its mean and deviation' },
  { value: 'tf', text: 'TensorFlow: short side 256, crop 224, from −1 to 1' },
];

/** @param {number} count */
const million = (count) => (count >= 1e9 ? `${(count / 1e9).toFixed(2)} G` : `${(count / 1e6).toFixed(1)} M`);

export class ModelView {
  #taps = h('div', { class: 'taps' });
  #preset = h('select', { id: 'preset' }, PRESETS.map(({ value, text }) => h('option', { value }, text)));
  /** @type {string[]} what the package would choose */
  #auto = [];
  /** @type {Map<string, string>} */
  #pools = new Map();
  element = h('div', { class: 'model' });

  /** @param {string} name @param {Inspection} inspection */
  show(name, { model, session, preset, error, sizeIs }) {
    const sizes = (/** @type {any[]} */ list) => (list ?? []).map(({ name: title, dims }) => `${title} ${(dims ?? []).map((/** @type {any} */ size) => size ?? '?').join(' × ')}`).join(', ');
    const fact = (/** @type {string} */ title, /** @type {any} */ value) => h('div', null, h('dt', null, title), h('dd', null, value));
    this.#preset.value = preset;
    this.#auto = (session?.taps ?? []).map((/** @type {any} */ tap) => tap.name);
    this.#pools = new Map((session?.taps ?? []).map((/** @type {any} */ tap) => [tap.name, tap.pool]));
    const box = (/** @type {any} */ { name: title, shape }) => h('label', null, h('input', { type: 'checkbox', value: title, checked: this.#auto.includes(title) }),
      h('span', null, title, h('span', { class: 'hint' }, ` ${(shape ?? []).slice(1).join(' × ')}`)));
    // What is suggested comes first, deepest first, and then everything in the network's order.
    const candidates = /** @type {any[]} */ (session?.candidates ?? []);
    const suggested = this.#auto.map((title) => candidates.find((one) => one.name === title) ?? { name: title });
    replace(this.#taps, suggested.map(box), h('details', null,
      h('summary', null, `${candidates.length} tensors could be tapped`), candidates.filter((one) => !this.#auto.includes(one.name)).map(box)));
    replace(this.element,
      h('p', { class: 'file' }, name),
      h('dl', { class: 'facts small' },
        fact('Input', sizes(model.inputs)), fact('Output', sizes(model.outputs)), fact('Opset', String(model.opset)), fact('Parameters', million(model.parameters)),
        session && fact('Multiply-adds', `${million(session.macsForward)} + ${million(session.macsBackward)} back`),
        session && fact('Memory', megabytes(session.arenaBytes + session.weightBytes))),
      h('p', { class: 'chips', 'aria-label': 'Operators' }, Object.entries(model.operators ?? {}).map(([title, count]) => {
        const unknown = (model.unsupported ?? []).includes(title);
        return h('span', { class: unknown ? 'chip unsupported' : 'chip' }, title, h('b', null, ` ${count}${unknown ? ', not supported' : ''}`));
      })),
      sizeIs === 'free' && h('p', { class: 'hint' }, 'The model takes any size; figures are for 224 × 224.'),
      error ? h('p', { class: 'flag', role: 'alert' }, `It can’t be run here: ${error.message}`) : h('div', { class: 'choices' },
        h('fieldset', null, h('legend', null, 'Where to tap it'), h('p', { class: 'hint' }, 'Suggested: the classifier’s input, and the last tensor at each resolution before it.'), this.#taps),
        h('div', null, h('label', { for: 'preset' }, 'How images are prepared'), this.#preset,
          h('p', { class: 'hint' }, 'It becomes part of the profile. It must be what the model was trained with: another size or filter is another distribution.'))));
  }

  get preset() {
    return this.#preset.value;
  }

  /** @returns {'auto' | { name: string, pool: any }[]} */
  get layers() {
    const chosen = [...this.#taps.querySelectorAll('input:checked')].map((input) => /** @type {HTMLInputElement} */ (input).value);
    if (chosen.length === this.#auto.length && chosen.every((name, i) => name === this.#auto[i])) return 'auto';
    return chosen.map((name) => ({ name, pool: this.#pools.get(name) ?? 'sum' }));
  }
}
