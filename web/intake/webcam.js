// @ts-check
/** One picture of the camera, if the visitor asks for it. The camera is on while the dialog is open, and at no other time. */
import { h } from '../dom.js';

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * @returns {Promise<File | null>} null: the visitor has thought better of it
 */
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  const video = h('video', { autoplay: true, playsinline: true, 'aria-label': 'What the camera sees' });
  video.muted = true;
  video.srcObject = stream;
  const close = (/** @type {string} */ answer) => () => dialog.close(answer);
  const take = h('button', { type: 'button', class: 'primary', click: close('take'), disabled: true }, 'Score this');
  const dialog = h('dialog', { class: 'webcam', 'aria-label': 'Camera' }, video,
    h('p', { class: 'hint' }, 'The picture is scored in this tab and goes nowhere else.'),
    h('div', { class: 'row' }, h('button', { type: 'button', click: close('') }, 'Cancel'), take));
  video.addEventListener('loadeddata', () => {
    take.disabled = false;
    take.focus();
  });
  document.body.append(dialog);
  try {
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener('close', resolve));
    return dialog.returnValue === 'take' ? await frameOf(video) : null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    dialog.remove();
  }
}

/** As a PNG: what is scored can be saved, and is decoded as any other file. @param {HTMLVideoElement} video */
async function frameOf(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d')).drawImage(video, 0, 0);
  const time = new Date().toTimeString().slice(0, 8).replaceAll(':', '-');
  return new File([await canvas.convertToBlob({ type: 'image/png' })], `camera ${time}.png`, { type: 'image/png' });
}
