// @ts-check
/** The detector behind the page: loads it, replaces it by the visitor's own, and asks about single neurons. */
import { host } from '../../wasm/js/host-browser.js';
import { NacError, chooseVariant, loadDetector } from '../../wasm/js/index.js';
import { locate } from '../locate.js';
import { Inspector } from './inspector.js';
import { readTensor } from './safetensors.js';

/**
 * @typedef {import('../../wasm/js/index.js').Detector} Detector
 * @typedef {{ detector: Detector, inspector: Inspector, calibration: Float32Array, name: string }} Loaded
 */

/**
 * Bytes of a URL or a File, with progress.
 * @param {URL | File} source
 * @param {(loaded: number, total: number | null) => void} report
 */
async function readAll(source, report) {
  if (source instanceof File) {
    const bytes = new Uint8Array(await source.arrayBuffer());
    report(bytes.length, bytes.length);
    return bytes;
  }
  const name = source.pathname.split('/').at(-1);
  const response = await fetch(source).catch((error) => {
    throw new NacError('NOT_FOUND', `${name}: ${error.message}`);
  });
  if (!response.ok || !response.body) throw new NacError('NOT_FOUND', `${name}: the server answers ${response.status}`);
  // The length of a compressed body is not that of what arrives here.
  const total = response.headers.get('content-encoding') ? null : Number(response.headers.get('content-length')) || null;
  /** @type {Uint8Array[]} */
  const chunks = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    report((loaded += next.value.length), total);
  }
  return new Uint8Array(await new Blob(/** @type {any} */ (chunks)).arrayBuffer());
}

/**
 * @param {{ model?: File, profile?: File }} own the visitor's; the bundled ones where there is none
 * @param {(progress: { stage: 'wasm' | 'model' | 'profile', loaded: number, total: number | null }) => void} onProgress
 * @returns {Promise<Loaded>}
 */
export async function load(own, onProgress) {
  const { model = '', profile = '' } = document.body.dataset;
  // ?variant=simd is for people who compare numbers between machines.
  const asked = /** @type {any} */ (new URLSearchParams(location.search).get('variant') ?? 'auto');
  const variant = chooseVariant(asked);
  const read = (/** @type {'wasm' | 'model' | 'profile'} */ stage, /** @type {URL | File} */ source) =>
    readAll(source, (loaded, total) => onProgress({ stage, loaded, total }));
  const [binary, modelBytes, profileBytes] = await Promise.all([
    read('wasm', host.wasm(variant)),
    read('model', own.model ?? locate(model)),
    read('profile', own.profile ?? locate(profile)),
  ]);
  const module = await WebAssembly.compile(/** @type {any} */ (binary)).catch((error) => {
    throw new NacError('UNSUPPORTED', `the WebAssembly file can't be compiled: ${error.message}`);
  });
  const detector = await loadDetector({ model: modelBytes, profile: profileBytes, wasm: module, variant });
  const name = (own.model?.name ?? model.split('/').at(-1) ?? '').replace(/\.onnx$/i, '');
  return {
    detector,
    inspector: new Inspector({ module, model: modelBytes, profile: profileBytes }),
    calibration: readTensor(profileBytes, 'calibration.scores') ?? new Float32Array(0),
    name: own.model ? name : 'ResNet-18 for CIFAR-10',
  };
}
