// @ts-check
/** The page: what comes in, the detector, and what is shown. */
import { bundled } from './engine/bundled.js';
import './engine/engine-state.js';
import './intake/drop.js';
import './batch/gallery.js';
import './evaluation/evaluation.js';
import './workshop/workshop.js';
import './result/result.js';
import './offline/privacy.js';
import './offline/update.js';
import './intake/samples.js';
import { load } from './engine/detector.js';
import { announce } from './dom.js';
import { complete, waitFor } from './intake/incomplete.js';
import { sortOut } from './intake/inputs.js';
import { toFile, toPictures } from './intake/pictures.js';
import { enter } from './rooms.js';
import { explainError, spokenVerdict } from './words.js';

const find = (/** @type {string} */ selector) => /** @type {any} */ (document.querySelector(selector));
const state = find('nac-engine-state');
const samples = find('nac-samples');
const gallery = find('nac-gallery');
const view = find('nac-result');

/** @typedef {import('./engine/detector.js').Loaded} Loaded */
/** @typedef {import('./intake/pictures.js').Picture} Picture */

/** @type {Promise<Loaded>} */
let loading;
/** The last one that worked. @type {Loaded | null} */
let current = null;
/** Only the last question gets an answer. */
let question = 0;
let touched = false;

/**
 * Loads a model and its profile. Where that fails, the one before stays in force.
 * @param {{ model?: File[], profile?: File }} own the visitor's; the bundled ones where there is none
 * @param {Promise<Loaded>} [attempt] that is under way
 */
async function start(own, attempt = load(own, (progress) => state.progress(progress))) {
  const before = current;
  loading = attempt.catch((error) => before ?? Promise.reject(error));
  loading.catch(() => state.failed());
  const began = performance.now();
  try {
    current = await attempt;
    before?.detector.close();
    state.ready(current, performance.now() - began);
  } catch (error) {
    if (before) state.ready(before, null);
    throw error;
  }
}

/** @param {File[]} arrived */
async function take(arrived) {
  touched = true;
  const files = complete(arrived);
  const { model, profile, images } = sortOut(files);
  if (model && !profile) {
    // Nobody has a profile of it yet: here is where one is made.
    enter('workshop');
    return find('nac-workshop').open(model);
  }
  if (model || profile) {
    ++question;
    gallery.stop();
    try {
      // A profile alone belongs to the model that is there.
      const present = current?.source.model;
      await start({ model: model ?? (present instanceof URL ? undefined : present), profile });
      announce(`${(model?.[0] ?? profile)?.name} is ready.`);
    } catch (error) {
      const lacks = /** @type {any} */ (error)?.files;
      const goOn = current ? { text: `Go on with ${current.name}`, act: () => samples.chooseFirst() } : undefined;
      fail(error, { file: (lacks ? model?.[0] : (profile ?? model?.[0]))?.name, subject: 'model', retry: lacks ? waitFor(files, lacks) : goOn });
      return;
    }
  }
  const pictures = await toPictures(images);
  if (pictures.length === 1) await showOne(pictures[0]);
  else if (pictures.length > 1) await showMany(pictures);
  else if (!model && !profile) announce('No image was found there.');
}

/**
 * @param {Picture} picture
 * @param {{ back?: () => void }} [options]
 */
async function showOne(picture, { back } = {}) {
  const { name } = picture;
  const asked = ++question;
  gallery.hidden = true;
  if (!back) gallery.stop();
  view.hidden = false;
  view.showBusy('Scoring…');
  samples.select(name);
  reveal();
  try {
    const { detector, calibration } = await loading;
    const file = await toFile(picture, (bytes) => detector.decode(bytes));
    const result = await detector.score(file, { explain: true });
    if (asked !== question) return;
    if (performance.getEntriesByName('nac-first-score').length === 0) performance.mark('nac-first-score');
    view.show(result, { file, detector, calibration, back });
    samples.mark(name, result.verdict);
    announce(spokenVerdict(result, name));
  } catch (error) {
    if (asked === question) fail(error, { file: name, back });
  } finally {
    if (asked === question) view.removeAttribute('aria-busy');
  }
}

/** @param {Picture[]} pictures */
async function showMany(pictures) {
  const asked = ++question;
  try {
    const loaded = await loading;
    if (asked !== question) return;
    view.hidden = true;
    gallery.hidden = false;
    samples.select('');
    reveal();
    await gallery.run(pictures, loaded);
  } catch (error) {
    if (asked === question) fail(error, {});
  }
}

/** On a phone the result lies below the samples: the visitor who asked for it is taken there. */
function reveal() {
  const result = find('#result');
  if (!navigator.userActivation?.hasBeenActive || result.getBoundingClientRect().top < innerHeight * 0.6) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  result.scrollIntoView({ block: 'start', behavior: calm ? 'auto' : 'smooth' });
}

/** @param {any} error @param {{ file?: string, subject?: import('./words.js').Subject, retry?: { text: string, act: () => void }, back?: () => void }} [about] */
function fail(error, about) {
  view.removeAttribute('aria-busy');
  view.hidden = false;
  gallery.hidden = true;
  view.showError(error, about);
  samples.select('');
  announce(`${about?.file ?? ''} ${explainError(error, about?.subject).title}`);
}

addEventListener('nac-files', (event) => {
  const { files } = /** @type {any} */ (event).detail;
  // The first sample is scored wherever the visitor is; what was dropped is answered where answers are.
  if (event.target !== samples) enter('images');
  take(files);
});
addEventListener('nac-bundled', async () => {
  await start({}).catch((error) => fail(error, { subject: 'model' }));
  samples.chooseFirst();
});
addEventListener('nac-use', async (event) => {
  enter('images');
  await take(/** @type {any} */ (event).detail.files);
  samples.chooseFirst();
});
addEventListener('nac-failed', (event) => {
  const { error, subject } = /** @type {any} */ (event).detail;
  fail(error, { subject });
});
addEventListener('nac-scored', (event) => {
  const { picture, result } = /** @type {any} */ (event).detail;
  samples.mark(picture.name, result?.verdict ?? null);
});
addEventListener('nac-open', (event) => {
  const { picture, index, error } = /** @type {any} */ (event).detail;
  const back = () => {
    ++question;
    view.hidden = true;
    gallery.hidden = false;
    gallery.focusOn(index);
  };
  if (error) fail(error, { file: picture.name, back });
  else showOne(picture, { back });
  find('#result').focus({ preventScroll: true });
  find('#result').scrollIntoView({ block: 'start' });
});

find('nac-evaluation').detector = () => loading;
view.showBusy('Loading the model…');
// Something to look at, unless the visitor was faster.
samples.chooseFirst(start({}, bundled).then(() => !touched));
