// @ts-check
/** The package in a browser. node.js is the same for Node. */
import { build } from './build.js';
import { Detector } from './detector.js';
import { host } from './host-browser.js';
import { Workbench } from './workbench.js';

export { Detector } from './detector.js';
export { Engine } from './engine.js';
export { NacError } from './error.js';
export { compareSets, scoreSet } from './evaluate.js';
export { adoptWorker } from './host-browser.js';
export { chooseVariant, supports } from './variants.js';

/** @param {import('./detector.js').CommonOptions & { model: import('./detector.js').ModelSource, profile: import('./detector.js').Source }} options */
export const loadDetector = (options) => Detector.load(host, options);

/** @param {import('./build.js').BuildOptions & import('./detector.js').CommonOptions} options */
export const buildProfile = async (options) => (await build(host, options)).bytes;

/** @param {import('./detector.js').CommonOptions & { model: import('./detector.js').ModelSource, layers?: import('./build.js').BuildOptions['layers'], preprocess?: string | object }} options */
export const openWorkbench = (options) => Workbench.open(host, options);
