// @ts-check
/**
 * What nac_limits.h allows an image, looked at before anything is read, copied or decoded that the core would then refuse.
 * Its sentences, too: who reads them need not know which side has looked.
 */
import { NacError } from './error.js';

export const IMAGE_BYTES = 256 * 2 ** 20;
export const IMAGE_SIDE = 32768;
export const IMAGE_PIXELS = 100_000_000;

/** @param {number} bytes of an encoded file */
export function checkImageBytes(bytes) {
  if (bytes > IMAGE_BYTES) throw new NacError('LIMIT_EXCEEDED', `the file has ${bytes} bytes; an image file may have ${IMAGE_BYTES}`);
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
