// @ts-check
/** Where the milliseconds went. */
import { h } from '../dom.js';
import { STAGES } from '../export.js';
import { duration } from '../words.js';
import { total } from './verdict.js';

/** @param {import('../../wasm/js/result.js').Result} result */
export function times(result) {
  const { ms, variant, decoder } = result;
  const all = total(result);
  const strip = h('div', { class: 'stages', 'aria-hidden': 'true' }, STAGES.map((stage) => h('span', { 'data-stage': stage })));
  STAGES.forEach((stage, i) => (strip.children[i].style.flexGrow = String(ms[stage] / all)));
  return h('article', { class: 'card' }, h('h3', null, `Time: ${duration(all)} ms`), strip,
    h('dl', { class: 'facts small' }, STAGES.map((stage) => h('div', { 'data-stage': stage }, h('dt', null, stage), h('dd', null, `${duration(ms[stage])} ms`)))),
    h('p', { class: 'hint' }, `In a worker of this tab, ${variant} binary; ${decoder === 'core' ? 'decoded by the engine, to the same pixels everywhere' : 'decoded by this browser, so another browser may differ a little'}.`));
}
