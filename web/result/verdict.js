// @ts-check
/** The verdict in words, its numbers, and its place among the scores of familiar images. */
import { scoreAxis } from '../charts/axis.js';
import { h } from '../dom.js';
import { STAGES } from '../export.js';
import { classSentence, disagreement, duration, verdictSentence, verdictTitle } from '../words.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

/** Milliseconds of all stages. @param {Result} result */
export const total = ({ ms }) => STAGES.reduce((sum, stage) => sum + ms[stage], 0);

/**
 * @param {Result} result
 * @param {string} name of the file
 * @param {Float32Array} calibration sorted scores of held-out images
 */
export function verdict(result, name, calibration) {
  const { score, pValue, threshold, label } = result;
  const flag = disagreement(result);
  const span = calibration.length > 0 ? `; ${calibration.length} held-out in-distribution images score from ${calibration[0].toFixed(2)} to ${calibration.at(-1)?.toFixed(2)}` : '';
  return h('div', { class: 'verdict' },
    h('p', { class: 'file' }, name, result.decoder === 'browser' && h('span', { class: 'decoder-mark', title: 'Neither PNG nor JPEG: another browser’s pixels, and so the score, may differ a little' }, 'decoded by this browser')),
    h('h2', null, h('span', { class: 'mark', 'aria-hidden': 'true' }, result.verdict === 'out' ? '!' : '✓'), verdictTitle(result)),
    h('p', { class: 'lead' }, verdictSentence(result)),
    h('dl', { class: 'facts' },
      fact('Score', score.toFixed(3)), fact('p-value', pValue === null ? '–' : pValue.toFixed(4)),
      fact('Label', label), fact('Time', `${duration(total(result))} ms`)),
    result.byClass && h('p', { class: 'hint' }, classSentence(result)),
    flag && h('p', { class: 'flag' }, flag),
    h('figure', { class: 'axis-figure' },
      scoreAxis({ calibration, threshold, score, label: `Score ${score.toFixed(3)}${threshold === null ? '' : `, threshold ${threshold.toFixed(3)}`}${span}` }),
      h('figcaption', { class: 'hint' }, calibration.length > 0
        ? `Bars: scores of ${calibration.length.toLocaleString('en')} in-distribution images that the profile hasn’t counted. Left of the threshold is called out-of-distribution.`
        : 'This profile holds no scores of held-out images to compare with.')));
}

/** @param {string} name @param {string} value */
const fact = (name, value) => h('div', null, h('dt', null, name), h('dd', null, value));
