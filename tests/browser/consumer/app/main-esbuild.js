import { adoptWorker, loadDetector } from 'nac-wasm';
import 'nac-wasm/element';
import relaxed from 'nac-wasm/nac-relaxed.wasm';
import simd from 'nac-wasm/nac-simd.wasm';
import { tryOut } from './try.js';

const at = (file) => new URL(file, import.meta.url);
window.run = () => tryOut(loadDetector, {
  wasm: { simd: at(simd), relaxed: at(relaxed) },
  createWorker: (listeners) => adoptWorker(new Worker(at('./worker.js'), { type: 'module' }), listeners),
});
