// @ts-check
/** A dashboard that knows nothing of engines and workers: it places elements, feeds them, and listens. */
import '../element/index.js';
import { SETS } from '../intake/sample-list.js';

/** @typedef {import('../element/nac-detector.js').NacDetector} NacDetector */

const SPARKS = 24;
const ROWS = 60;
const PAUSE = 900; // milliseconds between images

const find = (/** @type {string} */ selector, /** @type {ParentNode} */ within = document) => /** @type {HTMLElement} */ (within.querySelector(selector));
const stations = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.station')]);
const run = /** @type {HTMLButtonElement} */ (find('#run'));
const log = find('#log');
/** @type {Map<HTMLElement, { in: number, out: number }>} */
const tallies = new Map();
let running = false;

addEventListener('nac-result', (event) => {
  const station = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).closest('.station'));
  const { result } = /** @type {CustomEvent} */ (event).detail;
  const milliseconds = Object.values(result.ms).reduce((sum, part) => sum + part, 0);
  record([time(), name(station), result.file, chip(result.verdict), number(result.pValue.toFixed(3)), result.label, number(milliseconds.toFixed(0))]);
  count(station, result);
});
addEventListener('nac-error', (event) => {
  const { error, file } = /** @type {CustomEvent} */ (event).detail;
  const station = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).closest('.station'));
  record([time(), name(station), file?.name ?? '', chip('error'), number('–'), error.message, number('–')]);
});

run.addEventListener('click', async () => {
  running = !running;
  run.textContent = running ? 'Stop the line' : 'Run the line';
  for (let i = 0; running; ++i) {
    await Promise.all(stations.map((station) => feed(station, i)));
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
});
find('#reset').addEventListener('click', () => {
  if (running) run.click();
  tallies.clear();
  log.replaceChildren();
  for (const station of stations) {
    detectorOf(station).clear();
    find('.spark', station).replaceChildren();
    find('.tally', station).textContent = 'nothing yet';
  }
});

/** The next picture of a station's camera. @param {HTMLElement} station @param {number} turn */
async function feed(station, turn) {
  const { folder, names } = /** @type {typeof SETS[number]} */ (SETS.find((set) => set.folder === station.dataset.set));
  const file = `${names[turn % names.length]}.png`;
  const response = await fetch(new URL(`../../models/samples/${folder}/${file}`, import.meta.url));
  // An image that is dropped meanwhile takes the place of this one.
  await detectorOf(station).score(new File([await response.blob()], file)).catch(() => {});
}

/** @param {HTMLElement} station @param {any} result */
function count(station, { verdict, pValue }) {
  const tally = tallies.get(station) ?? { in: 0, out: 0 };
  tallies.set(station, tally);
  ++tally[/** @type {'in' | 'out'} */ (verdict)];
  const spark = find('.spark', station);
  const column = document.createElement('li');
  column.dataset.verdict = verdict;
  column.style.height = `${Math.max(6, 100 * pValue)}%`;
  spark.append(column);
  while (spark.childElementCount > SPARKS) spark.firstElementChild?.remove();
  const share = document.createElement('strong');
  share.textContent = `${tally.out} of ${tally.in + tally.out}`;
  find('.tally', station).replaceChildren(share, ' out of distribution; columns: p-values');
}

/** @param {(string | Node)[]} cells */
function record(cells) {
  log.querySelector('[colspan]')?.parentElement?.remove();
  const row = document.createElement('tr');
  for (const cell of cells) {
    const td = document.createElement('td');
    td.append(cell);
    if (cell instanceof HTMLElement && cell.className === 'number') td.className = 'number';
    row.append(td);
  }
  log.prepend(row);
  while (log.childElementCount > ROWS) log.lastElementChild?.remove();
}

/** @param {HTMLElement} station */
const detectorOf = (station) => /** @type {NacDetector} */ (station.querySelector('nac-detector'));
/** @param {HTMLElement} station */
const name = (station) => find('h2', station).textContent ?? '';
const time = () => new Date().toLocaleTimeString('en', { hour12: false });

/** @param {string} text */
function number(text) {
  const span = document.createElement('span');
  span.className = 'number';
  span.textContent = text;
  return span;
}

/** @param {string} verdict */
function chip(verdict) {
  const span = document.createElement('span');
  span.className = 'chip';
  span.dataset.verdict = verdict;
  span.textContent = { in: 'in-distribution', out: 'out-of-distribution' }[verdict] ?? 'not scored';
  return span;
}
