// @ts-check
/**
 * The package in a browser. node.js is the same for Node.
 *
 * What a score does not need is imported by whoever calls it: every module more is a request more in front of the first one.
 */
import { Detector } from './detector.js';
import { host } from './host-browser.js';

export { Detector } from './detector.js';
export { NacError } from './error.js';
export { adoptWorker } from './host-browser.js';
export { chooseVariant, supports } from './variants.js';

/** @param {import('./detector.js').CommonOptions & { model: import('./detector.js').ModelSource, profile: import('./detector.js').Source }} options */
export const loadDetector = (options) => Detector.load(host, options);

/** @param {import('./build.js').BuildOptions & import('./detector.js').CommonOptions} options */
export const buildProfile = async (options) => (await (await import('./build.js')).build(host, options)).bytes;

/** @param {import('./detector.js').CommonOptions & { model: import('./detector.js').ModelSource, layers?: import('./build.js').BuildOptions['layers'], preprocess?: string | object }} options */
export const openWorkbench = async (options) => (await import('./workbench.js')).Workbench.open(host, options);

/** @type {typeof import('./evaluate.js').scoreSet} */
export const scoreSet = async (...given) => (await import('./evaluate.js')).scoreSet(...given);

/** @type {typeof import('./evaluate.js').compareSets} */
export const compareSets = async (...given) => (await import('./evaluate.js')).compareSets(...given);
