// @ts-check
/** The detector behind the page: the bundled one, or the visitor's own. */
import { host } from '../../wasm/js/host-browser.js';
import { chooseVariant, loadDetector } from '../../wasm/js/index.js';
import { selfTestWarning } from '../../wasm/js/selftest.js';
import { locate } from '../locate.js';

/**
 * @typedef {import('../../wasm/js/index.js').Detector} Detector
 * @typedef {{ wasm: URL, variant: 'simd' | 'relaxed', model: URL | File[], profile: URL | File }} Source where it all came from; of a model of the visitor's, the .onnx
 *   file first
 * @typedef {{ detector: Detector, calibration: Float32Array, name: string, source: Source, warning: Promise<string | null> }} Loaded
 *   warning: that this machine computes other numbers than the one that made the profile
 */

/** The binary for this browser. ?variant=simd is for people who compare numbers between machines. */
export function binary() {
  const asked = /** @type {any} */ (new URLSearchParams(location.search).get('variant') ?? 'auto');
  const variant = chooseVariant(asked);
  return { variant, wasm: host.wasm(variant) };
}

/**
 * @param {{ model?: File[], profile?: File }} own the visitor's; the bundled ones where there is none
 * @param {(progress: import('../../wasm/js/detector.js').Progress) => void} onProgress
 * @returns {Promise<Loaded>}
 */
export async function load(own, onProgress) {
  const { model = '', profile = '' } = document.body.dataset;
  const source = { ...binary(), model: own.model ?? locate(model), profile: own.profile ?? locate(profile) };
  const detector = await loadDetector({ ...source, onProgress });
  const name = own.model ? own.model[0].name.replace(/\.onnx$/i, '') : 'ResNet-18 for CIFAR-10';
  // The first image goes first.
  const warning = new Promise((resolve) => setTimeout(resolve, 500)).then(() => detector.selfTest()).then(selfTestWarning, () => null);
  return { detector, calibration: detector.info.profile.calibration, name, source, warning };
}
