// @ts-check
/** Why an image is unfamiliar: the neurons whose states the profile knows least, and where in the picture they are. */

/** @typedef {import('./engine/model.js').Session} Session */
/** @typedef {import('./engine/profile.js').Profile} Profile */
/** @typedef {import('./engine.js').Engine} Engine */

const NEURONS = 8;

/**
 * Of what `session` has just run.
 * @param {Engine} engine
 * @param {Session} session with keepMaps
 * @param {Profile} profile
 * @param {Record<string, any>} preprocess its JSON form
 * @returns {import('./result.js').Explanation}
 */
export function explain(engine, session, profile, preprocess) {
  const layers = profile.layers.map(({ name, alpha, neurons: count }, layer) => {
    const z = session.z(layer).subarray(0, count);
    const g = session.g(layer).subarray(0, count);
    const { coverage, bins } = profile.coverage(layer, z, g);
    // Least covered first; of equals the one whose state is furthest from that of a dead unit.
    const product = (/** @type {number} */ c) => Math.abs(z[c] * g[c]);
    const order = Array.from(coverage.keys()).sort((a, b) => coverage[a] - coverage[b] || product(b) - product(a) || a - b);
    const neurons = order.slice(0, NEURONS).map((neuron) => ({
      neuron,
      coverage: coverage[neuron],
      state: engine.state(z[neuron], g[neuron], alpha),
      z: z[neuron],
      g: g[neuron],
      bin: bins[neuron],
    }));
    return { name, neurons, coverage, map: heatMap(session.map(layer), g, coverage) };
  });
  return { layers, view: networkView(session, preprocess) };
}

/**
 * How much each position contributes to uncovered states: sum over neurons c of (1 - coverage[c]) |z[h,w,c] G[c]|. Position
 * (h,w) adds z[h,w,c] G[c] to neuron c's Z G; the sign says to which side of 0.5 the state moves, which is not the question.
 * @param {{ dims: number[], values: Float32Array } | null} tap
 * @param {Float32Array} g
 * @param {Float32Array} coverage
 */
function heatMap(tap, g, coverage) {
  const C = g.length;
  if (!tap || tap.dims[3] !== C) return null;
  const [, H, W] = tap.dims;
  const all = new Float32Array(H * W);
  for (let position = 0; position < all.length; ++position) {
    let sum = 0;
    for (let c = 0; c < C; ++c) sum += (1 - coverage[c]) * Math.abs(tap.values[position * C + c] * g[c]);
    all[position] = sum;
  }
  if (W > 1) return { width: W, height: H, values: all };
  return tokenGrid(all);
}

/**
 * Tokens lie in a square of patches, with or without a class token in front.
 * @param {Float32Array} tokens
 */
function tokenGrid(tokens) {
  for (const skip of [1, 0]) {
    const side = Math.sqrt(tokens.length - skip);
    if (side > 1 && Number.isInteger(side)) return { width: side, height: side, values: tokens.slice(skip) };
  }
  return null;
}

/**
 * What the network saw, as a picture: normalisation undone.
 * @param {Session} session
 * @param {Record<string, any>} preprocess
 */
function networkView(session, { scale, mean, std, channelOrder }) {
  const [, height, width] = session.dims;
  const input = session.input();
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0; i < pixels.length; ++i) {
    const channel = i % 3;
    const value = (input[i] * std[channel] + mean[channel]) / scale;
    const target = channelOrder === 'bgr' ? i - 2 * channel + 2 : i;
    pixels[target] = Math.min(Math.max(Math.round(value), 0), 255);
  }
  return { width, height, pixels };
}
