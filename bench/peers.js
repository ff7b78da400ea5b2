// The peers, installed on demand under .cache/bench: they are measured, never depended on.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const folder = path.join(root, '.cache', 'bench');

const LOCK = ['package.json', 'package-lock.json'].map((name) => path.join(root, 'bench', 'peers', name));

/** By the lock in bench/peers, down to what the peers themselves need; once for every lock. */
export function installPeers() {
  const installed = path.join(folder, 'node_modules', '.installed-by');
  const lock = readFileSync(LOCK[1], 'utf8');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === lock) return;
  mkdirSync(folder, { recursive: true });
  for (const file of LOCK) copyFileSync(file, path.join(folder, path.basename(file)));
  console.error('installing onnxruntime-web and tfjs in .cache/bench');
  execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: ['ignore', 2, 2] });
  writeFileSync(installed, lock);
}

/** Networks by bench/models.py, made when missing. */
export function exportModels(names) {
  const models = path.join(folder, 'models');
  const missing = names.filter((name) => !existsSync(path.join(models, `${name}.onnx`)));
  if (missing.length > 0) {
    console.error(`exporting ${missing.join(', ')} with PyTorch`);
    execFileSync('/usr/bin/python3', [path.join(root, 'bench', 'models.py'), models, ...missing], { stdio: ['ignore', 2, 2] });
  }
  return names.map((name) => path.join(models, `${name}.onnx`));
}

/** onnxruntime-web's WebAssembly backend on one thread; run takes one array and returns the outputs' arrays, in order. */
export async function openOnnxRuntime(model, dims) {
  const require = createRequire(path.join(folder, 'package.json'));
  const ort = await import(pathToFileURL(require.resolve('onnxruntime-web')).href).then((module) => module.default ?? module);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  const [input] = session.inputNames;
  return async (nchw) => {
    const outputs = await session.run({ [input]: new ort.Tensor('float32', nchw, dims) });
    return session.outputNames.map((name) => outputs[name].data);
  };
}
