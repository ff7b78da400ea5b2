// @ts-check
/** Small pictures of files, made when they come into view. A bounded number is kept, whatever the size or number of files. */

const SIDE = 128;
const KEPT = 240;
const AT_ONCE = 2;

export class Thumbnails {
  /** The longest unused first. @type {Map<File, ImageBitmap>} */
  #kept = new Map();
  /** @type {{ file: File, canvas: HTMLCanvasElement }[]} */
  #waiting = [];
  #running = 0;

  /**
   * A canvas that shows the file as soon as it is decoded.
   * @param {File} file
   */
  of(file) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = SIDE;
    const kept = this.#kept.get(file);
    if (kept) this.#draw(canvas, file, kept);
    else {
      this.#waiting.push({ file, canvas });
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
      const bitmap = await shrink(job.file);
      this.#draw(job.canvas, job.file, bitmap);
    } catch {
      // It could be scored and yet not shown (a decoder less): the tile stays empty.
    } finally {
      --this.#running;
      this.#next();
    }
  }

  /** @param {HTMLCanvasElement} canvas @param {File} file @param {ImageBitmap} bitmap */
  #draw(canvas, file, bitmap) {
    this.#kept.delete(file);
    this.#kept.set(file, bitmap);
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
