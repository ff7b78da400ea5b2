// @ts-check
/** The page around the <iframe>: sends images, shows what is said. */
import { connectFrame } from '../element/connect-frame.js';

const IMAGES = ['cifar10/automobile.png', 'cifar10/horse.png', 'fashion-mnist/sandal.png', 'mnist/digit-7.png', 'textures/rings.png'];

const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
const messages = find('.messages');
const iframe = /** @type {HTMLIFrameElement} */ (find('iframe'));

const frame = connectFrame(iframe, {
  onSize: (height) => (iframe.style.height = `${height}px`),
  onResult: (result) => tell('in', { type: 'result', id: null, result: brief(result) }),
  onError: (error) => tell('in', error),
});
tell('out', { type: 'hello' });
frame.ready.then(({ labels, variant, threshold }) => {
  tell('in', { type: 'ready', labels: `${labels?.length} of them`, variant, threshold });
  find('#state').textContent = 'ready';
});

find('.attachments').append(...IMAGES.map((path) => {
  const url = new URL(`../../models/samples/${path}`, import.meta.url);
  const name = /** @type {string} */ (path.split('/').at(-1));
  const image = Object.assign(new Image(32, 32), { src: url.href, alt: '' });
  const button = document.createElement('button');
  button.type = 'button';
  button.append(image, name);
  button.addEventListener('click', () => send(url, name));
  const item = document.createElement('li');
  item.append(button);
  return item;
}));

/** @param {URL} url @param {string} name */
async function send(url, name) {
  const image = await (await fetch(url)).arrayBuffer();
  tell('out', { type: 'score', image: `${image.byteLength} bytes`, name });
  try {
    tell('in', { type: 'result', result: brief(await frame.score(image, { name })) });
  } catch (error) {
    tell('in', { type: 'error', message: /** @type {Error} */ (error).message });
  }
}

/** What fits a line. @param {any} result */
const brief = ({ file, verdict, score, pValue, label }) => ({ file, verdict, score: Number(score.toFixed(3)), pValue: Number(pValue.toFixed(4)), label });

/** @param {'in' | 'out'} way @param {Record<string, any>} message */
function tell(way, message) {
  const item = document.createElement('li');
  item.dataset.way = way;
  item.textContent = JSON.stringify({ nac: 1, ...message });
  messages.append(item);
  messages.scrollTop = messages.scrollHeight;
}
