// @ts-check
/**
 * Which files, besides its own, an ONNX model keeps its weights in (external data). Found without the core, whose memory the model need not
 * be in for that: a walk over the few messages of the file that lead to a tensor. The core reads the model anew, and checks it.
 */
import { MODEL_FILES } from './limits.js';

/** @typedef {{ [field: number]: Message }} Message which of its fields are messages, and what these hold */

// Numbers of onnx.proto. A graph lies in a graph where a node is an If or a Loop.
/** @type {Message} */ const ENTRY = {};
/** @type {Message} */ const TENSOR = { 13: ENTRY };
/** @type {Message} */ const GRAPH = { 5: TENSOR };
/** @type {Message} */ const ATTRIBUTE = { 5: TENSOR, 6: GRAPH };
GRAPH[1] = { 5: ATTRIBUTE };
/** @type {Message} */ const MODEL = { 7: GRAPH };
const DATA_LOCATION = 14;
const EXTERNAL = 1;
// More than the core allows.
const DEEPEST = 24;

// Relative, and no part of it is empty, '.' or '..'; nor a drive, a scheme or a way that only Windows knows. The core's rule, too.
const INSIDE = /^(?![^]*(?:^|\/)\.{0,2}(?:\/|$))[^\\:\x00-\x1f\x7f]+$/;

const decoder = new TextDecoder();

/**
 * Names of the files, in order. None of a model that the core will refuse, for one of the names or for their number.
 * @param {Uint8Array} bytes an ONNX file, or not
 * @returns {string[]}
 */
export function namedFiles(bytes) {
  /** @type {Set<string>} */
  const names = new Set();
  walk(bytes, 0, bytes.length, MODEL, names, 0);
  const all = [...names].sort();
  return all.length <= MODEL_FILES && all.every((name) => INSIDE.test(name)) ? all : [];
}

/**
 * @param {Uint8Array} bytes
 * @param {number} from
 * @param {number} to
 * @param {Message} message
 * @param {Set<string>} names
 * @param {number} depth
 */
function walk(bytes, from, to, message, names, depth) {
  if (depth > DEEPEST) return;
  let location = '';
  let external = false;
  for (const { field, value, start, end } of fields(bytes, from, to)) {
    if (message === TENSOR && field === DATA_LOCATION) external = value === EXTERNAL;
    const inner = message[field];
    if (!inner || end === undefined) continue;
    if (inner === ENTRY) location = locationOf(bytes, start, end) ?? location;
    else walk(bytes, start, end, inner, names, depth + 1);
  }
  if (external && location) names.add(location);
}

/** Of a StringStringEntryProto. @param {Uint8Array} bytes @param {number} from @param {number} to */
function locationOf(bytes, from, to) {
  const texts = ['', ''];
  for (const { field, start, end } of fields(bytes, from, to)) if ((field === 1 || field === 2) && end !== undefined) texts[field - 1] = decoder.decode(bytes.subarray(start, end));
  return texts[0] === 'location' ? texts[1] : undefined;
}

/**
 * The fields of a protobuf message, up to what is none.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} to
 * @returns {Generator<{ field: number, value: number, start: number, end?: number }>} end: where a text or message ends
 */
function* fields(bytes, at, to) {
  const number = () => {
    let value = 0;
    for (let scale = 1; at < to; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return NaN;
  };
  while (at < to) {
    const key = number();
    const field = Math.floor(key / 8);
    const wire = key % 8;
    if (wire === 0) yield { field, value: number(), start: at };
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = number();
      if (!(length <= to - at)) return;
      const start = at;
      at += length;
      yield { field, value: length, start, end: at };
    } else return;
  }
}
