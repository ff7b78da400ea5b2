// @ts-check
/** In: { picture } once, then { settings }. Out: { factor } of the copy, then { picture, jpeg? } for each. */
import { degrade, shrink, toImageData, toRgb } from './degrade.js';

const MOST = 300_000; // pixels

/** @type {import('./degrade.js').Picture} */
let source = { pixels: new Uint8Array(3), width: 1, height: 1 };

addEventListener('message', async ({ data: { picture, settings } }) => {
  if (picture) {
    const { factor, ...copy } = shrink(toRgb(picture), MOST);
    source = copy;
    return postMessage({ factor });
  }
  const changed = degrade(source, settings);
  const canvas = new OffscreenCanvas(changed.width, changed.height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d')).putImageData(toImageData(changed), 0, 0);
  const jpeg = settings.quality <= 100 ? await canvas.convertToBlob({ type: 'image/jpeg', quality: settings.quality / 100 }) : undefined;
  // Of a compressed picture the browser shows what is in the file.
  const bitmap = jpeg ? await createImageBitmap(jpeg) : canvas.transferToImageBitmap();
  postMessage({ picture: changed, jpeg, bitmap }, { transfer: [bitmap] });
});
