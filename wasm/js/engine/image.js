// @ts-check
/** Preprocessing and images: encoded bytes or pixels in, the tensor that the network sees out. */
import { NacError } from '../error.js';
import { checkImageSize, checkSize } from '../limits.js';
import { Owned } from './heap.js';

/** @typedef {import('./heap.js').Heap} Heap */

/** How images are prepared. Made from the name of a preset or from JSON, see nac.h. */
export class Preprocess extends Owned {
  /**
   * @param {Heap} heap
   * @param {string | object} source a preset ("imagenet", "cifar10", "tf"), JSON text, or the object it stands for
   */
  constructor(heap, source) {
    const address = heap.alloc(heap.exports.nacw_preprocess_bytes());
    try {
      heap.borrow((lend) => {
        const named = typeof source === 'string' && !source.trimStart().startsWith('{');
        const text = lend.text(typeof source === 'string' ? source : JSON.stringify(source));
        if (named) heap.call('nac_preprocess_preset', text.address, address);
        else heap.call('nac_preprocess_parse', text.address, text.size, address);
      });
    } catch (error) {
      heap.free(address);
      throw error;
    }
    super(heap, address);
    /** @type {Record<string, any>} the canonical JSON form */
    this.json = JSON.parse(this.#write());
  }

  #write() {
    const { heap } = this;
    return heap.borrow((lend) => {
      const capacity = 1024;
      const text = lend.alloc(capacity);
      heap.callForPair('nac_preprocess_write', [this.address, text, capacity], 1);
      return /** @type {string} */ (heap.text(text));
    });
  }

  /** Whether every image becomes a tensor of one size, whatever its own. */
  get fixed() {
    return this.json.crop !== null || this.json.resize?.width !== undefined;
  }

  /**
   * Size of the tensor made of an image of width x height pixels.
   * @param {number} width
   * @param {number} height
   */
  size(width, height) {
    const [outWidth, outHeight] = this.heap.callForPair('nac_preprocess_size', [this.address, width, height]);
    return { width: outWidth, height: outHeight };
  }
}

/** RGB8 pixels in the heap. */
export class Image extends Owned {
  /**
   * JPEG or PNG.
   * @param {Heap} heap
   * @param {Uint8Array} bytes
   * @param {Preprocess} preprocess its EXIF and alpha policy
   */
  static decode(heap, bytes, preprocess) {
    checkSize('image', bytes.length);
    return Image.#make(heap, (lend, image) => heap.call('nac_image_decode', lend.copy(bytes), bytes.length, preprocess.address, image));
  }

  /**
   * Pixels that the host has decoded.
   * @param {Heap} heap
   * @param {Uint8Array | Uint8ClampedArray} pixels 3 or 4 bytes a pixel
   * @param {number} width
   * @param {number} height
   * @param {Preprocess} preprocess
   */
  static fromPixels(heap, pixels, width, height, preprocess) {
    checkImageSize(width, height);
    const channels = pixels.length / (width * height);
    // The core trusts the size it is told: the array's real length is known only here.
    if (channels !== 3 && channels !== 4)
      throw new NacError('INVALID_ARGUMENT', `${pixels.length} bytes are not ${width} x ${height} pixels of 3 or 4 bytes`);
    return Image.#make(heap, (lend, image) =>
      heap.call('nac_image_from_pixels', lend.copy(pixels), width, height, channels, preprocess.address, image));
  }

  /**
   * @param {Heap} heap
   * @param {(lend: any, image: number) => void} fill
   */
  static #make(heap, fill) {
    const bytes = heap.exports.nacw_image_bytes();
    const address = heap.alloc(bytes);
    heap.u8(address, bytes).fill(0);
    const image = new Image(heap, address);
    try {
      heap.borrow((lend) => fill(lend, address));
    } catch (error) {
      image.close();
      throw error;
    }
    return image;
  }

  /** @returns {number} */
  get width() {
    return this.heap.exports.nacw_image_width(this.address);
  }

  /** @returns {number} */
  get height() {
    return this.heap.exports.nacw_image_height(this.address);
  }

  /** A copy of the pixels, 3 bytes each. */
  pixels() {
    return this.heap.u8(this.heap.exports.nacw_image_rgb(this.address) >>> 0, 3 * this.width * this.height).slice();
  }

  /**
   * Pillow's Image.resize((width, height)).
   * @param {number} width
   * @param {number} height
   * @param {'bilinear' | 'bicubic'} [filter]
   */
  resize(width, height, filter = 'bilinear') {
    return Image.#make(this.heap, (_, image) =>
      this.heap.call('nac_image_resize', this.address, width, height, filter === 'bicubic' ? 1 : 0, image));
  }

  /**
   * Resizes, crops and normalises into a session's input.
   * @param {Preprocess} preprocess
   * @param {number} tensor address of [H, W, 3] floats
   */
  toTensor(preprocess, tensor) {
    this.heap.call('nac_image_to_tensor', this.address, preprocess.address, tensor);
  }

  /** @param {number} address @protected */
  release(address) {
    this.heap.exports.nac_image_free(address);
    this.heap.free(address);
  }
}
