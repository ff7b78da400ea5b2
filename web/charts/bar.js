// @ts-check
/** A share of one, as a bar. <meter> would be the element for it, but no two browsers draw it alike. */
import { h } from '../dom.js';

/** @param {number} value 0..1 @param {string | null} label null where the number stands beside it */
export function bar(value, label = null) {
  const rounded = value.toFixed(3);
  const semantics = label ? { role: 'meter', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 1, 'aria-valuenow': rounded } : { 'aria-hidden': 'true' };
  const inside = h('span');
  inside.style.width = `${100 * Math.min(Math.max(value, 0), 1)}%`;
  return h('div', { class: 'bar', ...semantics }, inside);
}
