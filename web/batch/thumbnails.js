// @ts-check
/** Small pictures, made when they come into view. A bounded number is kept, whatever the size or number of files. */
import { toFile } from '../intake/pictures.js';

/** @typedef {import('../intake/pictures.js').Picture} Picture */

const SIDE = 128;
const KEPT = 240;
const AT_ONCE = 2;

export class Thumbnails {
  /** The longest unused first. @type {Map<Picture, ImageBitmap>} */
  #kept = new Map();
  /** @type {{ picture: Picture, canvas: HTMLCanvasElement }[]} */
  #waiting = [];
  #running = 0;
  #decode;

  /** @param {import('../intake/pictures.js').Decode} decode of sheets */
  constructor(decode) {
    this.#decode = decode;
  }

  /**
   * A canvas that shows the picture as soon as it is decoded.
   * @param {Picture} picture
   */
  of(picture) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = SIDE;
    const kept = this.#kept.get(picture);
    if (kept) this.#draw(canvas, picture, kept);
    else {
      this.#waiting.push({ picture, canvas });
      // Later: until this returns nobody can have put it into the document.
      queueMicrotask(() => this.#next());
    }
    return canvas;
  }

  /** Forgets all of them, and what has not been begun. */
  clear() {
    for (const bitmap of this.#kept.values()) bitmap.close();
    this.#kept.clear();
    this.#waiting = [];
  }

  /** @returns {Promise<void>} */
  async #next() {
    if (this.#running >= AT_ONCE) return;
    // The last that came into view first; those that have left it since are not worth the work.
    const job = this.#waiting.pop();
    if (!job) return;
    if (!job.canvas.isConnected) return this.#next();
    ++this.#running;
    try {
      const bitmap = await shrink(await toFile(job.picture, this.#decode));
      this.#draw(job.canvas, job.picture, bitmap);
    } catch {
      // It could be scored and yet not shown (a decoder less): the tile stays empty.
    } finally {
      --this.#running;
      this.#next();
    }
  }

  /** @param {HTMLCanvasElement} canvas @param {Picture} picture @param {ImageBitmap} bitmap */
  #draw(canvas, picture, bitmap) {
    this.#kept.delete(picture);
    this.#kept.set(picture, bitmap);
    for (const [oldest, old] of this.#kept) {
      if (this.#kept.size <= KEPT) break;
      old.close();
      this.#kept.delete(oldest);
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const { width, height } = bitmap;
    const side = Math.min(width, height);
    context.imageSmoothingEnabled = side > SIDE / 2;
    context.drawImage(bitmap, (width - side) / 2, (height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  }
}

/** @param {File} file */
async function shrink(file) {
  const whole = await createImageBitmap(file);
  const scale = SIDE / Math.min(whole.width, whole.height);
  if (scale >= 1) return whole;
  try {
    return await createImageBitmap(whole, { resizeWidth: Math.round(whole.width * scale), resizeHeight: Math.round(whole.height * scale), resizeQuality: 'medium' });
  } finally {
    whole.close();
  }
}
