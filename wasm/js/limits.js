// @ts-check
/**
 * What nac_limits.h allows a file, looked at before anything is read, copied or decoded that the core would then refuse.
 * Its sentences, too: who reads them need not know which side has looked. Whoever compiles higher limits raises these as well.
 */
import { NacError } from './error.js';

/** @typedef {'image' | 'model' | 'profile'} Kind */

/** Bytes of a file. @type {Record<Kind, number>} */
export const LARGEST = { image: 256 * 2 ** 20, model: 2 ** 31 - 1, profile: 2 ** 30 };
/** Files that a model may name. */
export const MODEL_FILES = 4096;
export const IMAGE_SIDE = 32768;
export const IMAGE_PIXELS = 100_000_000;

const NOUNS = { image: 'an image file', model: 'a model', profile: 'a profile' };

/**
 * @param {Kind} kind
 * @param {number} bytes of an encoded file
 * @param {string} [name] of the file
 */
export function checkSize(kind, bytes, name = '') {
  if (bytes > LARGEST[kind]) throw new NacError('LIMIT_EXCEEDED', `${name && `${name}: `}the file has ${bytes} bytes; ${NOUNS[kind]} may have ${LARGEST[kind]}`);
}

/**
 * @param {number} bytes of a model and its files
 * @param {string} name of the model
 */
export function checkModelSize(bytes, name) {
  if (bytes > LARGEST.model) throw new NacError('LIMIT_EXCEEDED', `${name && `${name}: `}the model and its files have more than the ${LARGEST.model} bytes that a model may have`);
}

/**
 * @param {number} width
 * @param {number} height
 */
export function checkImageSize(width, height) {
  const found = `the image is ${width} x ${height} pixels`;
  if (Math.max(width, height) > IMAGE_SIDE) throw new NacError('LIMIT_EXCEEDED', `${found}; a side may have ${IMAGE_SIDE}`);
  if (width * height > IMAGE_PIXELS) throw new NacError('LIMIT_EXCEEDED', `${found}; an image may have ${IMAGE_PIXELS}`);
}
