// A page of nothing but workers, driven by workers.test.js.
import { adoptWorker, loadDetector } from '../../../wasm/js/index.js';
import { random } from '../../../wasm/js/subset.js';

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const alive = new Set();
const log = { started: 0, killed: 0 };
let detector;

function createWorker(listeners) {
  const worker = new Worker(new URL('faulty-worker.js', import.meta.url), { type: 'module' });
  const adopted = adoptWorker(worker, listeners);
  ++log.started;
  alive.add(worker);
  return {
    ...adopted,
    close() {
      alive.delete(worker);
      adopted.close();
    },
  };
}

/** Ends a worker behind the pool's back. In silence, only the time budget tells. */
function kill(pick, silently) {
  const worker = [...alive][Math.floor(pick * alive.size)];
  if (!worker) return;
  ++log.killed;
  if (silently) worker.terminate();
  else worker.postMessage('fail');
}

window.load = async ({ model, profile, workers, timeout }) => {
  detector = await loadDetector({ model: bytesOf(model), profile: bytesOf(profile), variant: 'simd', workers, timeout, createWorker });
};

/** Scores images (base64), in their order, and kills workers as the two chances say. */
window.scoreAll = async (images, { seed = 1, killed = 0, silenced = 0 } = {}) => {
  const next = random(seed);
  const files = images.map((base64, i) => ({ name: `${i}`, load: async () => bytesOf(base64) }));
  const results = [];
  for await (const { file, score, error } of detector.scoreAll(files)) {
    results.push({ file, score, error: error && { code: error.code, message: error.message } });
    const chance = next();
    if (chance < killed + silenced) kill(next(), chance < silenced);
  }
  return { results, log };
};

window.close = () => detector.close();
