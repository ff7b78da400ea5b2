// @ts-check
/** What a model holds, before anything is run: inputs, operators, tensors worth tapping, costs. */
import { NacError } from './error.js';

/**
 * @typedef {object} Inspection
 * @property {Record<string, any>} model nac_model_info: name, opset, inputs, outputs, operators, unsupported, parameters, labels
 * @property {Record<string, any> | null} session nac_session_info: taps, candidates, multiply-adds, memory; null where it cannot be run
 * @property {[number, number]} size of the input it was planned for
 * @property {'given' | 'free'} sizeIs free: the model takes any, and 224 x 224 was assumed
 * @property {NacError | null} error why it cannot be run
 */

const ASSUMED = 224;

/**
 * @param {import('./engine.js').Engine} engine
 * @param {Uint8Array} bytes an ONNX file
 * @param {{ files?: import('./model-source.js').NamedBytes[], shape?: [number, number] }} [options] files: those that the model names; shape: height
 *   and width, for a model that leaves them free
 * @returns {Inspection}
 */
export function inspect(engine, bytes, { files, shape } = {}) {
  // A model with operators that are not supported is described all the same.
  const model = engine.openModel(bytes, { check: false, files });
  const { info } = model;
  const [batch, , height, width] = info.inputs?.[0]?.dims ?? [];
  const free = !(height > 0 && width > 0);
  const sizeIs = free && !shape ? 'free' : 'given';
  /** @type {[number, number]} */
  const size = shape ?? (free ? [ASSUMED, ASSUMED] : [height, width]);
  try {
    const session = engine.createSession(model, { batch: batch > 0 ? batch : 1, height: size[0], width: size[1], closeModel: true });
    const facts = session.info;
    session.close();
    return { model: info, session: facts, size, sizeIs, error: null };
  } catch (error) {
    if (!(error instanceof NacError)) throw error;
    return { model: info, session: null, size, sizeIs, error };
  } finally {
    model.close();
  }
}

/** Preprocessing by the model's input, where nobody has said.
 * @param {Record<string, any>} info nac_model_info
 */
export function defaultPreset(info) {
  const [, , height, width] = info.inputs?.[0]?.dims ?? [];
  return height === 32 && width === 32 ? 'cifar10' : 'imagenet';
}
