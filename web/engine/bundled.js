// @ts-check
/** The bundled detector, asked for before the page's elements are made: app.js imports it first. */
import { load } from './detector.js';

/** By the time that there is progress, there is the element that shows it. @param {import('../../wasm/js/detector.js').Progress} progress */
const show = (progress) => /** @type {any} */ (document.querySelector('nac-engine-state')).progress(progress);

export const bundled = load({}, show);
