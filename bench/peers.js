// The peers, installed on demand under .cache/bench: they are measured, never depended on.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const folder = path.join(root, '.cache', 'bench');

const PEERS = { 'onnxruntime-web': '1.30.0', '@tensorflow/tfjs': '4.22.0', '@tensorflow/tfjs-backend-wasm': '4.22.0' };

export function installPeers() {
  mkdirSync(folder, { recursive: true });
  if (Object.keys(PEERS).every((name) => existsSync(path.join(folder, 'node_modules', name)))) return;
  if (!existsSync(path.join(folder, 'package.json'))) writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  // All of them: npm removes what it isn't told of.
  const wanted = Object.entries(PEERS);
  console.error(`installing ${wanted.map((entry) => entry.join(' ')).join(', ')} in .cache/bench`);
  execFileSync('npm', ['install', '--no-save', '--ignore-scripts', ...wanted.map(([name, version]) => `${name}@${version}`)], { cwd: folder, stdio: ['ignore', 2, 2] });
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
