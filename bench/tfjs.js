// TensorFlow.js on its WebAssembly backend, one thread: logits, and gradients by its automatic differentiation with respect to zeros that
// are added to each tap. Its backend has no gradient of depthwise convolutions (and none of dilated ones), so MobileNet
// cannot be measured; ResNets can. It reads no ONNX: bench/unpack.py writes what this file builds the network from.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const UNPACK = fileURLToPath(new URL('unpack.py', import.meta.url));
const CONVOLUTION = 'Conv';

function readNetwork(file) {
  const at = (extension) => file.replace(/\.onnx$/, extension);
  if (!existsSync(at('.graph.json'))) execFileSync('/usr/bin/python3', [UNPACK, file], { stdio: ['ignore', 2, 2] });
  const bytes = readFileSync(at('.weights.bin'));
  return { ...JSON.parse(readFileSync(at('.graph.json'), 'utf8')), floats: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) };
}

/** Whether tfjs-wasm can take a gradient through all of it. */
export const runsOnTfjs = (file) => readNetwork(file).nodes.every(({ op, attributes }) => op !== CONVOLUTION || attributes.group === 1);

/** Filters as [kh, kw, Ci, Co], which is what tfjs wants; others as they are. */
function loadWeights(tf, { nodes, weights, floats }) {
  const filters = new Set(nodes.filter(({ op }) => op === CONVOLUTION).map(({ inputs }) => inputs[1]));
  const load = ([name, { offset, dims }]) => {
    const size = dims.reduce((product, n) => product * n, 1);
    const tensor = tf.tensor(floats.slice(offset, offset + size), dims);
    return [name, filters.has(name) ? tensor.transpose([2, 3, 1, 0]) : tensor];
  };
  return new Map(Object.entries(weights).map(load));
}

const explicit = ([top, left, bottom, right]) => [[0, 0], [top, bottom], [left, right], [0, 0]];

function compute(tf, { op, attributes }, [x, w, b]) {
  if (op === CONVOLUTION) return tf.conv2d(x, w, attributes.strides, explicit(attributes.pads)).add(b);
  if (op === 'Relu') return tf.relu(x);
  if (op === 'Add') return tf.add(x, w);
  if (op === 'MaxPool') return tf.maxPool(x, attributes.kernel_shape, attributes.strides, explicit(attributes.pads));
  if (op === 'GlobalAveragePool') return tf.mean(x, [1, 2], true);
  if (op === 'Flatten') return tf.reshape(x, [x.shape[0], -1]);
  if (op === 'Gemm') return tf.matMul(x, w, false, true).add(b);
  throw new Error(`bench/tfjs.js has no ${op}`);
}

/**
 * @param {string} folder with the installed packages
 * @param {string} file ONNX
 * @param {string[]} taps
 * @returns {Promise<(nhwc: Float32Array) => Promise<Float32Array[]>>} logits, then every tap's gradient summed over H and W
 */
export async function openTfjs(folder, file, taps, size) {
  const require = createRequire(path.join(folder, 'package.json'));
  const tf = require('@tensorflow/tfjs');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  wasm.setThreadsCount(1);
  wasm.setWasmPaths(`${path.join(folder, 'node_modules/@tensorflow/tfjs-backend-wasm/dist')}/`);
  await tf.setBackend('wasm');
  const network = readNetwork(file);
  const weights = loadWeights(tf, network);

  /** @param {any} image @param {any[]} zeros one a tap; none: plain forward */
  const forward = (image, zeros, seen = new Map()) => {
    const values = new Map([...weights, [network.input, image]]);
    for (const node of network.nodes) {
      const y = compute(tf, node, node.inputs.map((name) => values.get(name)));
      const tap = taps.indexOf(node.output);
      seen.set(node.output, y);
      values.set(node.output, tap >= 0 && zeros.length > 0 ? y.add(zeros[tap]) : y);
    }
    return values.get(network.output);
  };

  const shapes = tf.tidy(() => {
    const seen = new Map();
    forward(tf.zeros([1, size, size, 3]), [], seen);
    return taps.map((tap) => seen.get(tap).shape);
  });
  const zeros = shapes.map((shape) => tf.zeros(shape));
  return async (nhwc) => {
    const results = tf.tidy(() => {
      const image = tf.tensor(nhwc, [1, size, size, 3]);
      let logits;
      // Its gradient by the logits is softmax - 1/K, as the score's.
      const divergence = (...added) => {
        logits = tf.keep(forward(image, added));
        return tf.sub(tf.logSumExp(logits), tf.mean(logits));
      };
      const gradients = tf.grads(divergence)(zeros);
      return [logits, ...gradients.map((gradient) => (gradient.rank === 4 ? tf.sum(gradient, [1, 2]) : gradient))];
    });
    const arrays = await Promise.all(results.map((tensor) => tensor.data()));
    tf.dispose(results);
    return arrays;
  };
}
