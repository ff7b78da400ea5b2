// @ts-check
/** SHA-256 of files and of pixels. */

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 */
async function sha256(bytes) {
  // A page that came over plain http has no crypto.subtle.
  const { digest } = globalThis.crypto?.subtle ? { digest: nativeDigest } : await import('./sha256.js');
  return digest(bytes);
}

/** @param {Uint8Array} bytes */
async function nativeDigest(bytes) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {any} */ (bytes)));
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function sha256Hex(bytes) {
  return Array.from(await sha256(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * By which a profile remembers an image: of its decoded pixels, so that a tile of a sprite, a PNG and the same PNG
 * compressed anew are one image.
 * @param {Uint8Array} pixels RGB
 * @param {number} width
 * @param {number} height
 */
export async function hashImage(pixels, width, height) {
  const block = new Uint8Array(8 + pixels.length);
  const view = new DataView(block.buffer);
  view.setUint32(0, width, true);
  view.setUint32(4, height, true);
  block.set(pixels, 8);
  return new DataView((await sha256(block)).buffer).getBigUint64(0, true);
}
