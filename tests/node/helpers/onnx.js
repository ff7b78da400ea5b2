// Writes small ONNX files, so that tests need neither Python nor a file of weights. Only what they use of the format is here:
// protobuf fields are (number << 3 | wire type), 0 a varint and 2 a length and that many bytes.
import { random } from '../../../wasm/js/subset.js';

const encoder = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
}

export const integer = (field, value) => Uint8Array.from([...varint(field << 3), ...varint(value)]);

export function bytes(field, content) {
  const head = [...varint((field << 3) | 2), ...varint(content.length)];
  const result = new Uint8Array(head.length + content.length);
  result.set(head);
  result.set(content, head.length);
  return result;
}

export const text = (field, value) => bytes(field, encoder.encode(value));

export function join(...parts) {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

export const ints = (name, values) => bytes(5, join(text(1, name), ...values.map((value) => integer(8, value)), integer(20, 7)));
export const int = (name, value) => bytes(5, join(text(1, name), integer(3, value), integer(20, 2)));

export const node = (op, inputs, output, ...attributes) =>
  bytes(1, join(...inputs.map((input) => text(1, input)), text(2, output), text(3, `node_${output}`), text(4, op), ...attributes));

/** An initializer: float32, or int64 where `type` is BigInt64Array. */
export function tensor(name, dims, values, type = Float32Array) {
  const raw = new Uint8Array(type.from(values).buffer);
  return bytes(5, join(...dims.map((dim) => integer(1, dim)), integer(2, type === Float32Array ? 1 : 7), text(8, name), bytes(9, raw)));
}

/** Initializers of float32, of which some lie in other files (external data). */
export class Weights {
  /** What these files hold. @type {Record<string, Uint8Array>} */
  files = {};
  #where;

  /** @param {(name: string) => string | undefined} [where] a tensor's file; none: the model's own */
  constructor(where = () => undefined) {
    this.#where = where;
  }

  tensor(name, dims, values) {
    const location = this.#where(name);
    if (location === undefined) return tensor(name, dims, values);
    const raw = new Uint8Array(Float32Array.from(values).buffer);
    const before = this.files[location] ?? new Uint8Array(0);
    this.files[location] = join(before, raw);
    const entry = (key, text_) => bytes(13, join(text(1, key), text(2, String(text_))));
    const place = [entry('location', location), entry('offset', before.length), entry('length', raw.length), integer(14, 1)];
    return bytes(5, join(...dims.map((dim) => integer(1, dim)), integer(2, 1), text(8, name), ...place));
  }
}

/** dims: a number, or a name for a free one. */
export function value(field, name, dims) {
  const shape = join(...dims.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim))));
  return bytes(field, join(text(1, name), bytes(2, bytes(1, join(integer(1, 1), bytes(2, shape))))));
}

/** A file of these parts of a graph: nodes, initializers, and `value`s of field 11 (inputs) and 12 (outputs). */
export const modelOf = (parts, opset = 13) => join(integer(1, 8), bytes(7, join(text(2, 'made up'), ...parts)), bytes(8, join(text(1, ''), integer(2, opset))));

/**
 * conv 3x3 (3 -> 6), ReLU "stage1"; conv 3x3 stride 2 (6 -> 8), ReLU "stage2"; global average "features"; dense "logits".
 * `weights` holds what the file holds, for a test that computes the same by hand; `files`, what lies in others by `where` (see Weights).
 */
export function tinyModel({ batch = 'N', size = 8, classes = 4, seed = 1, labels, op = 'Relu', where } = {}) {
  const next = random(seed);
  const numbers = (count, scale) => Float32Array.from({ length: count }, () => (next() - 0.5) * scale);
  const weights = {
    conv1: numbers(6 * 3 * 9, 0.8),
    bias1: numbers(6, 0.5),
    conv2: numbers(8 * 6 * 9, 0.6),
    bias2: numbers(8, 0.5),
    dense: numbers(classes * 8, 2),
    denseBias: numbers(classes, 1),
  };
  const placed = new Weights(where);
  const graph = join(
    node('Conv', ['image', 'conv1', 'bias1'], 'a1', ints('kernel_shape', [3, 3]), ints('pads', [1, 1, 1, 1]), ints('strides', [1, 1])),
    node(op, ['a1'], 'stage1'),
    node('Conv', ['stage1', 'conv2', 'bias2'], 'a2', ints('kernel_shape', [3, 3]), ints('pads', [1, 1, 1, 1]), ints('strides', [2, 2])),
    node('Relu', ['a2'], 'stage2'),
    node('GlobalAveragePool', ['stage2'], 'pool'),
    node('Flatten', ['pool'], 'features', int('axis', 1)),
    node('Gemm', ['features', 'dense', 'denseBias'], 'logits', int('transB', 1)),
    text(2, 'tiny'),
    placed.tensor('conv1', [6, 3, 3, 3], weights.conv1),
    placed.tensor('bias1', [6], weights.bias1),
    placed.tensor('conv2', [8, 6, 3, 3], weights.conv2),
    placed.tensor('bias2', [8], weights.bias2),
    placed.tensor('dense', [classes, 8], weights.dense),
    placed.tensor('denseBias', [classes], weights.denseBias),
    value(11, 'image', [batch, 3, size, size]),
    value(12, 'logits', [batch, classes]),
  );
  const metadata = labels ? bytes(14, join(text(1, 'labels'), text(2, JSON.stringify(labels)))) : new Uint8Array(0);
  const model = join(integer(1, 8), text(2, 'nac tests'), bytes(7, graph), bytes(8, join(text(1, ''), integer(2, 13))), metadata);
  return { bytes: model, files: placed.files, weights, size, classes };
}

/** What the tiny model computes, in double, NCHW; and the gradient of NAC's loss where it needs no back-propagation. */
export function runTiny({ weights, size, classes }, image) {
  const stage1 = convolve(image, 3, size, weights.conv1, weights.bias1, 6, 1);
  const half = Math.ceil(size / 2);
  const stage2 = convolve(stage1, 6, size, weights.conv2, weights.bias2, 8, 2);
  const sums = Array.from({ length: 8 }, (_, c) => stage2.slice(c * half * half, (c + 1) * half * half).reduce((a, b) => a + b, 0));
  const features = sums.map((sum) => sum / (half * half));
  const logits = Array.from({ length: classes }, (_, k) => features.reduce((sum, f, c) => sum + f * weights.dense[8 * k + c], weights.denseBias[k]));
  const top = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - top));
  const total = exponentials.reduce((a, b) => a + b, 0);
  const gradient = features.map((_, c) =>
    exponentials.reduce((sum, e, k) => sum + (e / total - 1 / classes) * weights.dense[8 * k + c], 0));
  return { stage1, sums, features, logits, gradient };
}

function convolve(input, C, size, kernel, bias, O, stride) {
  const out = Math.ceil(size / stride);
  const result = new Float64Array(O * out * out);
  for (let o = 0; o < O; ++o)
    for (let y = 0; y < out; ++y)
      for (let x = 0; x < out; ++x) {
        let sum = bias[o];
        for (let c = 0; c < C; ++c)
          for (let i = 0; i < 9; ++i) {
            const row = y * stride + Math.floor(i / 3) - 1;
            const column = x * stride + (i % 3) - 1;
            if (row < 0 || column < 0 || row >= size || column >= size) continue;
            sum += input[(c * size + row) * size + column] * kernel[(o * C + c) * 9 + i];
          }
        result[(o * out + y) * out + x] = Math.max(sum, 0);
      }
  return result;
}
