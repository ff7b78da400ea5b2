// Strangers' files through the engine, each with the exact sentence that a user gets. What a sentence promises about memory is
// checked natively (tests/unit/test_*_memory.c), and so is every truncation and every damaged byte (test_onnx.c,
// test_profile_hostile.c, test_image_broken.c); here stands what each kind of file leads to.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { before } from 'node:test';
import { buildProfile } from '../../wasm/js/node.js';
import { makeEngine } from './helpers/engine.js';
import { animatedPng, bombPng, jpegOfSize, pngOfSize } from './helpers/images.js';
import { bytes, int, integer, ints, join, modelOf, node, tensor, text, tinyModel, value } from './helpers/onnx.js';
import { packSafetensors, unpackSafetensors } from './helpers/safetensors.js';
import { PREPROCESS, encodePng, noise } from './helpers/scene.js';

const golden = (name) => new Uint8Array(readFileSync(new URL(`../golden/${name}`, import.meta.url)));
const ascii = (string) => new TextEncoder().encode(string);

/** What `body` throws, as a user reads it. */
function sentence(body) {
  try {
    body()?.close?.();
  } catch (error) {
    assert.equal(error.name, 'NacError', error.stack);
    return `${error.code}: ${error.message}`;
  }
  return 'fine';
}

/** Runs a table of [name, bytes, expected] and says of all rows at once which are wrong. */
function check(rows, run, tidy = (text) => text) {
  const actual = rows.map(([name, make]) => [name, tidy(sentence(() => run(make())))]);
  assert.deepEqual(actual, rows.map(([name, , expected]) => [name, tidy(expected)]));
}

// ---- Models -----------------------------------------------------------------------------------

const IMAGE = value(11, 'x', ['N', 3, 8, 8]);
const LOGITS = value(12, 'y', ['N', 4]);
const numbers = (count, of = (i) => (i % 7) - 3) => Float32Array.from({ length: count }, (_, i) => of(i));
const W = tensor('w', [4, 3, 3, 3], numbers(108));
const TAIL = [node('GlobalAveragePool', ['c'], 'p'), node('Flatten', ['p'], 'y', int('axis', 1))];
const conv = (...attributes) => modelOf([node('Conv', ['x', 'w'], 'c', ...attributes), ...TAIL, W, IMAGE, LOGITS]);
const convOf = (...weights) => modelOf([node('Conv', ['x', 'w'], 'c'), ...TAIL, ...weights, IMAGE, LOGITS]);
const lists = (name, values) => tensor(name, [values.length], values.map(BigInt), BigInt64Array);
/** An operator between the image and the tail. */
const between = (nodes, ...initializers) =>
  modelOf([node('Conv', ['x', 'w'], 'a'), ...nodes, ...TAIL, W, ...initializers, IMAGE, LOGITS]);
const string = (name, content) => bytes(5, join(text(1, name), text(4, content), integer(20, 3)));

const MODELS = [
  ['sound', () => conv(), 'fine'],
  // not a model
  ['empty', () => new Uint8Array(0), 'MALFORMED: the model is empty (0 bytes)'],
  ['text', () => ascii('This is a text, and not a model at all.'),
    'MALFORMED: not an ONNX file, or a damaged one: invalid wire_type near byte 1 of 39'],
  ['a page', () => ascii('<!DOCTYPE html><html><title>404</title></html>'),
    'MALFORMED: not an ONNX file, or a damaged one: invalid wire_type near byte 1 of 46'],
  ['a PyTorch checkpoint', () => ascii('PK\x03\x04\x00\x00\x08\x08archive/data.pkl'),
    'MALFORMED: not an ONNX file, or a damaged one: zero tag near byte 3 of 24'],
  ['an image', () => golden('image/rgb8.png'), 'MALFORMED: not an ONNX file, or a damaged one: zero tag near byte 11 of 1765'],
  ['cut off', () => conv().subarray(0, 300), 'MALFORMED: not an ONNX file, or a damaged one: parent stream too short near byte 5 of 300'],
  ['no graph', () => golden('onnx/no_graph.onnx'), 'MALFORMED: not an ONNX file: it holds no graph'],
  // a graph that is none
  ['a cycle', () => golden('onnx/cycle.onnx'), "MALFORMED: tensor 'a' depends on itself (read by node 'two')"],
  ['a node that reads itself', () => golden('onnx/self_reference.onnx'),
    "MALFORMED: tensor 'logits' depends on itself (read by node 'ouroboros')"],
  ['a tensor with two producers', () => golden('onnx/produced_twice.onnx'),
    "MALFORMED: tensor 'features' is produced twice (again by node 'again')"],
  ['two weights of a name', () => convOf(W, W), "MALFORMED: tensor 'w' has two initializers"],
  ['a tensor that nobody makes', () => convOf(), "MALFORMED: node 'node_c' (Conv) reads tensor 'w', which nothing produces"],
  ['no output', () => modelOf([node('Conv', ['x', 'w'], 'c'), W, IMAGE]), 'UNSUPPORTED: the model has no output'],
  ['an operator that is unknown', () => between([node('Dream', ['a'], 'c')]),
    "UNSUPPORTED: node 'node_c': operator Dream is not supported"],
  ['an operator that talks to the terminal', () => between([node('\x1b[2J\x07', ['a'], 'c')]),
    "UNSUPPORTED: node 'node_c': operator ?[2J? is not supported"],
  ['another opset', () => modelOf([node('Conv', ['x', 'w'], 'c'), ...TAIL, W, IMAGE, LOGITS], 99),
    'UNSUPPORTED: the model uses opset 99; opsets 7 to 25 are supported'],
  ['weights in files that are not there', () => golden('onnx/external.onnx'),
    "NOT_FOUND: weights lie in 'bias.bin' and 1 more, which are missing: they are needed beside the model"],
  ['weights somewhere up the folders', () => golden('onnx/external_up.onnx'),
    "MALFORMED: tensor 'w' lies in 'a/../../w.bin', which is no name of a file beside the model"],
  ['weights at 1e3', () => golden('onnx/external_offset.onnx'), "MALFORMED: tensor 'w' lies in another file at '1e3', which is no number"],
  ['weights beyond 2 GB', () => golden('onnx/external_far.onnx'),
    "LIMIT_EXCEEDED: tensor 'w' lies in 'w.bin' at byte 2147483216 and has 432; a model and its files may have 2147483647"],
  ['a loop without its body', () => golden('onnx/loop_bodiless.onnx'), "MALFORMED: node 'again' (Loop) lacks its body"],
  ['2^62 rounds', () => golden('onnx/loop_endless.onnx'),
    "LIMIT_EXCEEDED: node 'again' (Loop): 4611686018427387904 rounds are more than 131072 nodes, which the rounds of a model's loops may have"],
  ['branches in branches', () => golden('onnx/branches_deep.onnx'), 'LIMIT_EXCEEDED: branches and loops lie in each other, more than 4 deep'],
  // shapes
  ['an empty dimension', () => convOf(tensor('w', [0, 3, 3, 3], [])),
    "UNSUPPORTED: node 'node_c' (Conv): input 1, tensor 'w', has no elements"],
  ['a negative dimension', () => golden('onnx/negative_dimension.onnx'), 'MALFORMED: a tensor has a negative dimension'],
  ['fewer numbers than its shape says', () => convOf(tensor('w', [4, 3, 3, 3], numbers(107))),
    "MALFORMED: tensor 'w' has 108 elements by its dimensions but 107 by its data"],
  ['a shape of 2^120', () => convOf(tensor('w', [2 ** 40, 2 ** 40, 2 ** 40, 3], [1])),
    'LIMIT_EXCEEDED: a tensor has more elements than memory can address'],
  ['seven dimensions', () => golden('onnx/rank_7.onnx'), "UNSUPPORTED: tensor 'w' has rank 7; at most 6 is supported"],
  ['an image of a million pixels a side', () => modelOf([node('Conv', ['x', 'w'], 'c'), ...TAIL, W, value(11, 'x', ['N', 3, 1000000, 1000000]), LOGITS]),
    "LIMIT_EXCEEDED: the input's height is 1000000; at most 32768 is supported"],
  ['an image that would take 13 GB', () => modelOf([node('Conv', ['x', 'w'], 'c'), ...TAIL, W, value(11, 'x', ['N', 3, 32768, 32768]), LOGITS]),
    "LIMIT_EXCEEDED: tensor 'x' would take 12884.9 MB; 2147.5 MB is the limit"],
  ['an image of rank 3', () => golden('onnx/rank_3.onnx'), "UNSUPPORTED: the model's input 'x' has rank 3; an image of rank 4 is needed"],
  ['weights that do not fit', () => convOf(tensor('w', [4, 5, 3, 3], numbers(180))),
    "MALFORMED: node 'node_c' (Conv): weights [4, 5, 3, 3] do not fit an input [1, 3, 8, 8] in 1 groups"],
  ['shapes that do not broadcast', () => between([node('Add', ['a', 'v'], 'c')], tensor('v', [5], numbers(5))),
    "MALFORMED: node 'node_c' (Add): shapes [1, 4, 6, 6] and [5] do not broadcast"],
  ['a reshape to other elements', () => between([node('Reshape', ['a', 's'], 'c')], lists('s', [1, 4, 7, 7])),
    "MALFORMED: node 'node_c' (Reshape): shape [1, 4, 6, 6] has not the 196 elements that are asked for (is the batch fixed in the file?)"],
  ['a reshape to -5', () => between([node('Reshape', ['a', 's'], 'c')], lists('s', [1, -5, 6, 6])),
    "MALFORMED: node 'node_c' (Reshape): the new shape's dimension 1 is -5"],
  ['an index that is outside', () => between([node('Gather', ['a', 's'], 'c', int('axis', 1))], lists('s', [9])),
    "MALFORMED: node 'node_c' (Gather): index 9 is outside of size 4"],
  ['a slice of nothing', () => between([node('Slice', ['a', 'from', 'to'], 'c')], lists('from', [3]), lists('to', [3])),
    "UNSUPPORTED: node 'node_c' (Slice): nothing is left of axis 0 (size 1)"],
  ['an axis that is not there', () => between([node('Concat', ['a', 'a'], 'c', int('axis', 4))]),
    "MALFORMED: node 'node_c' (Concat): axis 4 is outside of rank 4"],
  // attributes
  ['negative pads', () => conv(ints('pads', [-1, 0, 0, 0])), "UNSUPPORTED: node 'node_c' (Conv): pads holds -1; 0 to 32767 is supported"],
  ['a padding of two billion', () => conv(ints('pads', [2 ** 31, 0, 0, 0])),
    "UNSUPPORTED: node 'node_c' (Conv): pads holds 2147483648; 0 to 32767 is supported"],
  ['a stride of 0', () => conv(ints('strides', [0, 1])), "UNSUPPORTED: node 'node_c' (Conv): strides holds 0; 1 to 32767 is supported"],
  ['a window that does not fit', () => between([node('MaxPool', ['a'], 'c', ints('kernel_shape', [9, 9]))]),
    "UNSUPPORTED: node 'node_c' (MaxPool): a window of 9 does not fit an input of 6 with padding 0 + 0"],
  ['no group', () => conv(int('group', 0)),
    "MALFORMED: node 'node_c' (Conv): weights [4, 3, 3, 3] do not fit an input [1, 3, 8, 8] in 0 groups"],
  ['a word for a number', () => conv(string('strides', 'two')),
    "MALFORMED: node 'node_c' (Conv): attribute 'strides' has type 3 where 7 is needed"],
  ['pads for an axis that is not there', () => conv(ints('pads', [1, 1, 1, 1, 1, 1])),
    "UNSUPPORTED: node 'node_c' (Conv): pads has 6 numbers where 4 are needed"],
  // numbers
  ['weights of integers', () => convOf(tensor('w', [4, 3, 3, 3], Array(108).fill(1n), BigInt64Array)),
    "UNSUPPORTED: node 'node_c' (Conv): input 1 holds integers; only float32 is supported here"],
  ['a weight of NaN', () => convOf(tensor('w', [4, 3, 3, 3], numbers(108, (i) => (i === 50 ? NaN : 1)))),
    "NOT_FINITE: a weight of node 'node_c' is NaN or infinite"],
  ['a weight of infinity', () => convOf(tensor('w', [4, 3, 3, 3], numbers(108, (i) => (i === 50 ? Infinity : 1)))),
    "NOT_FINITE: a weight of node 'node_c' is NaN or infinite"],
  ['one class', () => golden('onnx/one_class.onnx'), 'UNSUPPORTED: the model has 1 class; two or more are needed'],
  ['an answer that does not depend on the image', () => modelOf([node('Identity', ['v'], 'y'), tensor('v', [1, 4], numbers(4)), IMAGE, LOGITS]),
    "UNSUPPORTED: the model's first output depends on no input"],
  // bombs: a few bytes that ask for gigabytes or hours
  ['a constant of 4 TB', () => between([node('ConstantOfShape', ['s'], 'v'), node('Add', ['a', 'v'], 'c')], lists('s', [1048576, 1048576])),
    "LIMIT_EXCEEDED: node 'node_v' (ConstantOfShape): a constant of more than 16777216 elements (dimension 1048576)"],
  ['a repetition to 30 GB', () => between([node('Expand', ['v', 's'], 'e'), node('Add', ['a', 'e'], 'c')], tensor('v', [1], [1]), lists('s', [20000, 20000, 20])),
    "LIMIT_EXCEEDED: tensor '(inner)' would take 32000.0 MB; 2147.5 MB is the limit"],
  ['a constant that takes hours',
    () => between([node('ConstantOfShape', ['s'], 'v'), node('MaxPool', ['v'], 'm', ints('kernel_shape', [1000, 1000])), node('Add', ['a', 'm'], 'c')], lists('s', [1, 1, 4096, 4096])), "LIMIT_EXCEEDED: node 'node_m': the network's constants take more than 4.29e+09 steps to compute"],
  ['a padding to 1 TB', () => between([node('Pad', ['a', 's'], 'c')], lists('s', [0, 0, 500000, 500000, 0, 0, 0, 0])),
    "LIMIT_EXCEEDED: tensor '(inner)' would take 4000096.0 MB; 2147.5 MB is the limit"],
];

test('models', async () => {
  const engine = await makeEngine();
  check(MODELS, (file) => {
    const model = engine.openModel(file);
    try {
      return engine.createSession(model, { taps: [] });
    } finally {
      model.close();
    }
  });
});

// ---- Profiles ---------------------------------------------------------------------------------

const tiny = tinyModel();
let engine;
let profile;

before(async () => {
  engine = await makeEngine();
  const images = Array.from({ length: 30 }, (_, i) => ({ name: `${i}`, load: async () => encodePng(noise(i), 8, 8) }));
  profile = await buildProfile({ model: tiny.bytes, images: images.slice(0, 20), holdout: images.slice(20), preprocess: PREPROCESS, layers: ['features'], variant: 'simd', workers: 0 });
});

/** The profile with something changed in its header or its tensors. */
function changed(change) {
  const file = unpackSafetensors(profile);
  change(file);
  return packSafetensors(file);
}
const meta = (key, json) => changed(({ metadata }) => (metadata[key] = typeof json === 'string' ? json : JSON.stringify(json)));
const layer = (fields) => changed(({ metadata }) => (metadata.layers = JSON.stringify([{ ...JSON.parse(metadata.layers)[0], ...fields }])));
const withLength = (write) => {
  const file = profile.slice();
  write(new DataView(file.buffer));
  return file;
};

const PROFILES = [
  ['sound', () => profile, 'fine'],
  ['empty', () => new Uint8Array(0), 'MALFORMED: safetensors: 0 bytes are too few for a file'],
  ['text', () => ascii('This is a text, and not a profile at all.'),
    'LIMIT_EXCEEDED: safetensors: a header of 2338328219631577172 bytes, at most 16777216 are read (or this is another format)'],
  ['a model', () => tiny.bytes,
    'LIMIT_EXCEEDED: safetensors: a header of 2333816157134522376 bytes, at most 16777216 are read (or this is another format)'],
  ['cut off in the header', () => profile.subarray(0, 100), 'MALFORMED: safetensors: the header of 1064 bytes passes the end of the file'],
  ['cut off in the numbers', () => profile.subarray(0, profile.length - 1),
    `MALFORMED: safetensors: tensor "calibration.classes" lies outside of the file's 2247 bytes of data`],
  ['something behind the end', () => join(profile, new Uint8Array(3)), 'MALFORMED: safetensors: 3 bytes at the end belong to no tensor'],
  ['swapped endianness', () => withLength((view) => view.setBigUint64(0, view.getBigUint64(0, true), false)),
    'LIMIT_EXCEEDED: safetensors: a header of 2883429661423960064 bytes, at most 16777216 are read (or this is another format)'],
  ['a header of 16 EB', () => withLength((view) => view.setBigUint64(0, 2n ** 64n - 1n, true)),
    'LIMIT_EXCEEDED: safetensors: a header of 18446744073709551615 bytes, at most 16777216 are read (or this is another format)'],
  ['a header that ends in a word', () => withLength((view) => view.setBigUint64(0, view.getBigUint64(0, true) - 9n, true)),
    'MALFORMED: safetensors: the header is not JSON: unexpected end of data at byte 1055'],
  ['weights of a network', () => packSafetensors({ metadata: { format: 'pt' }, tensors: [['w', 'F32', [2], new Uint8Array(8)]] }),
    'MALFORMED: a safetensors file, but no profile: metadata "format" is not "nac-profile"'],
  ['of another version', () => meta('version', '2'), 'UNSUPPORTED: profile: version "2", only "1" is read'],
  ['no layers', () => meta('layers', []), 'MALFORMED: profile: metadata "layers" must be an array of 1..64 layers'],
  ['65 layers', () => meta('layers', Array.from({ length: 65 }, (_, i) => ({ name: `${i}`, pool: 'sum', neurons: 1, alpha: 1, M: 4, O: 1 }))),
    'MALFORMED: profile: metadata "layers" must be an array of 1..64 layers'],
  ['layers that are no list', () => meta('layers', '{"0":1}'), 'MALFORMED: profile: metadata "layers" must be an array of 1..64 layers'],
  ['an alpha of 0', () => layer({ alpha: 0 }), 'MALFORMED: layer "features": alpha = 0 must be finite and above 0'],
  ['an alpha that is a word', () => layer({ alpha: 'steep' }), 'MALFORMED: profile: layer 0: name must be text, alpha and O numbers'],
  ['an odd number of edges', () => layer({ M: 51 }), 'MALFORMED: layer "features": M = 51 edges, must be even and in 4..10000'],
  ['a billion neurons', () => layer({ neurons: 1e9 }), 'MALFORMED: layer "features": 1000000000 neurons, must be in 1..1000000'],
  ['a bin that nothing fills', () => layer({ O: -1 }), 'MALFORMED: layer "features": O = -1 must be finite and above 0'],
  ['an unknown pooling', () => layer({ pool: 'median' }), 'MALFORMED: profile: layer 0: the pool is none of sum, nhwc, mean, cls, none'],
  ['counts of another type', () => changed(({ tensors }) => (tensors.find(([name]) => name === '0.counts')[1] = 'I32')),
    'MALFORMED: profile: tensor "0.counts" must be U32 [49, 8]'],
  ['more counts than images', () => changed(({ tensors }) => tensors.find(([name]) => name === '0.counts')[3].fill(1)),
    'MALFORMED: profile: layer "features", neuron 0: counted 825307441 times in 20 images'],
  ['an edge that is NaN', () => changed(({ tensors }) => tensors.find(([name]) => name === '0.edges')[3].fill(255, 8, 16)),
    'MALFORMED: profile: tensor "0.edges" is not finite and strictly ascending'],
  ['edges that fall', () => changed(({ tensors }) => tensors.find(([name]) => name === '0.edges')[3].copyWithin(8, 16, 24)),
    'MALFORMED: profile: tensor "0.edges" is not finite and strictly ascending'],
  ['a tensor that is missing', () => changed(({ tensors }) => tensors.shift()), 'MALFORMED: profile: tensor "0.edges" is missing'],
  ['a mean of NaN', () => meta('preprocess', '{"mean":[null,0,0]}'), 'MALFORMED: preprocess: "mean" must be three finite numbers'],
  ['a deviation of 0', () => meta('preprocess', { std: [1, 0, 1] }), 'MALFORMED: std[1] is 0; it must be finite and positive'],
  ['a resize to 100000', () => meta('preprocess', { resize: { shortSide: 100000 } }),
    'MALFORMED: preprocess: "resize" must be null, {"shortSide": S} or {"width": W, "height": H}, 1 to 32768'],
  ['a preprocessing that is unknown', () => meta('preprocess', { rotate: 90 }), 'MALFORMED: preprocess: unknown key "rotate"'],
  ['a hash that is none', () => meta('model', { name: 'tiny', sha256: 'abc' }),
    'MALFORMED: metadata "model": sha256 is not 64 hexadecimal digits'],
  ['of another model', () => meta('model', { name: 'tiny', sha256: '0'.repeat(64) }),
    'MISMATCH: the profile belongs to model 00000000, this is model b0bc34de'],
  ['labels that are numbers', () => meta('labels', [1, 2, 3, 4]), 'MALFORMED: metadata "labels": label 0 is not text'],
  ['JSON that ends early', () => meta('preprocess', '{"mean":[0,0,'), 'MALFORMED: preprocess: unexpected end of data at byte 13'],
  ['a hundred thousand brackets', () => meta('provenance', '['.repeat(100000)),
    'MALFORMED: metadata "provenance" is not JSON: unexpected end of data at byte 100000'],
];

test('profiles', () => {
  const { model } = unpackSafetensors(profile).metadata;
  check(PROFILES, (file) => {
    const opened = engine.openProfile(file);
    try {
      opened.checkModel(JSON.parse(model).sha256);
    } finally {
      opened.close();
    }
    // Sizes of the file change with every word that a profile says of itself.
  }, (text) => text.replace(/\d{4,}/g, '#'));
});

// ---- Images -----------------------------------------------------------------------------------

const IMAGES = [
  ['empty', () => new Uint8Array(0), 'MALFORMED: the file is empty'],
  ['text', () => ascii('hello, world....'), 'UNSUPPORTED: not a JPEG or PNG: the bytes start with 68 65 6c 6c 6f 2c 20 77'],
  ['a page', () => ascii('<!DOCTYPE html><title>404</title>'), 'UNSUPPORTED: this is an HTML page, not an image; JPEG and PNG are read'],
  ['GIF', () => ascii('GIF89a..........'), 'UNSUPPORTED: this is a GIF; JPEG and PNG are read'],
  ['BMP', () => ascii('BM..............'), 'UNSUPPORTED: this is a BMP; JPEG and PNG are read'],
  ['WebP', () => ascii('RIFF....WEBPVP8 '), 'UNSUPPORTED: this is a WebP; JPEG and PNG are read'],
  ['PDF', () => ascii('%PDF-1.7........'), 'UNSUPPORTED: this is a PDF; JPEG and PNG are read'],
  ['SVG', () => ascii('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'UNSUPPORTED: this is an SVG; JPEG and PNG are read'],
  ['TIFF', () => ascii('II*\0............'), 'UNSUPPORTED: this is a TIFF; JPEG and PNG are read'],
  ['eight bytes of a PNG', () => golden('image/rgb8.png').subarray(0, 8),
    'MALFORMED: broken PNG: it is truncated: the end chunk is missing'],
  ['half a PNG', () => golden('image/rgb8.png').subarray(0, 1000), 'MALFORMED: broken PNG: it is truncated inside a chunk'],
  ['half a JPEG', () => golden('image/420.jpg').subarray(0, 1500), 'MALFORMED: broken JPEG: it is truncated inside a scan'],
  ['a PNG of no pixels', () => pngOfSize(0, 5), 'MALFORMED: the PNG is 0 x 5 pixels'],
  ['a PNG that is too wide', () => pngOfSize(40000, 1), 'LIMIT_EXCEEDED: the PNG is 40000 x 1 pixels; a side may have 32768'],
  ['a PNG of 30000 x 30000', () => pngOfSize(30000, 30000), 'LIMIT_EXCEEDED: the PNG is 30000 x 30000 pixels; an image may have 100000000'],
  ['a PNG of 9000 x 9000 in 100 bytes', () => pngOfSize(9000, 9000),
    'MALFORMED: broken PNG: it has too few bytes for its size: pixels are missing'],
  ['a bomb: 81 million pixels, a thousand to one', () => bombPng(9000, 9000), 'fine'],
  ['a bomb: 50 MB behind the rows of its header', () => bombPng(16, 16, 50_000_000), 'fine'],
  ['a JPEG of 65500 x 65500', () => jpegOfSize(golden('image/420.jpg'), 65500, 65500),
    'LIMIT_EXCEEDED: the JPEG is 65500 x 65500 pixels; a side may have 32768'],
  ['a JPEG of 8000 x 8000 in 3 KB', () => jpegOfSize(golden('image/420.jpg'), 8000, 8000),
    'MALFORMED: broken JPEG: a scan has fewer bits than blocks: pixels are missing'],
  ['a JPEG of no pixels', () => jpegOfSize(golden('image/420.jpg'), 0, 9), 'MALFORMED: the JPEG is 0 x 9 pixels'],
];

test('images that are refused', () => {
  const preprocess = engine.preprocess({ ...PREPROCESS, exif: 'apply' });
  check(IMAGES, (file) => engine.decodeImage(file, preprocess));
});

test('images that are odd, but right: as large as they should be, and the same picture where they should', () => {
  const apply = engine.preprocess({ ...PREPROCESS, exif: 'apply' });
  const decode = (file) => {
    const image = engine.decodeImage(file, apply);
    const result = { size: [image.width, image.height], pixels: image.pixels() };
    image.close();
    return result;
  };
  const sizes = {
    '1x1.png': [1, 1], '1x1.jpg': [1, 1], '1x9.png': [1, 9], '9x1.png': [9, 1], '3x500.png': [3, 500], '640x37.png': [640, 37],
    'progressive.jpg': null, 'restart-progressive.jpg': null, 'cmyk.jpg': null, 'ycck.jpg': null, 'rgb16.png': null, 'rgba16.png': null, 'gray16.png': null,
  };
  for (const [name, size] of Object.entries(sizes)) {
    const { size: actual, pixels } = decode(golden(`image/${name}`));
    if (size) assert.deepEqual(actual, size, name);
    assert.ok(new Set(pixels).size > (actual[0] * actual[1] > 9 ? 8 : 0), `${name} is a picture`);
  }
  // EXIF: eight ways to store one picture (PNG: to the bit).
  const upright = decode(golden('image/exif1.png'));
  for (let i = 2; i <= 8; ++i) {
    const turned = decode(golden(`image/exif${i}.png`));
    assert.deepEqual(turned.size.slice().sort(), upright.size.slice().sort(), `orientation ${i}`);
    assert.equal(turned.size[0] === upright.size[0], i < 5, `orientation ${i} swaps the sides from 5 on`);
  }
  // An animation is its first frame.
  const frame = noise(3);
  assert.deepEqual(decode(animatedPng(encodePng(frame, 8, 8))).pixels, frame);
});
