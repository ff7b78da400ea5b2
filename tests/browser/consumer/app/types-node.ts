// The same without a DOM, under Node's types.
import { readFileSync } from 'node:fs';
import { loadDetector } from 'nac-wasm';

const detector = await loadDetector({ model: 'model.onnx', profile: readFileSync('model.safetensors'), variant: 'simd', workers: 0 });
const { verdict } = await detector.score(readFileSync('image.png'));
process.exitCode = verdict === 'out' ? 1 : 0;
