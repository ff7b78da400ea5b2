// @ts-check
/** A look into model, profile and preset files without running anything. */
import { loadModule } from '../../js/detector.js';
import { Engine } from '../../js/engine.js';
import { host, readBytes } from '../../js/host-node.js';
import { UsageError } from './args.js';
import { named } from './files.js';

export async function makeEngine() {
  const { module } = await loadModule(host, {});
  return Engine.create(module);
}

/** nac_model_info of a file.
 * @param {string} file
 * @returns {Promise<any>}
 */
export async function readModelInfo(file) {
  const bytes = await readBytes(file, { kind: 'model' });
  const engine = await makeEngine();
  const model = await named(file, () => engine.openModel(bytes));
  const { info } = model;
  model.close();
  return info;
}

/**
 * A preset's name, or the text of a JSON file; either one that the core takes.
 * @param {string | undefined} preset
 */
export async function readPreset(preset) {
  if (preset === undefined) return undefined;
  const engine = await makeEngine();
  if (preset.endsWith('.json')) {
    const text = new TextDecoder().decode(await readBytes(preset));
    await named(preset, () => engine.preprocess(text).close());
    return text;
  }
  try {
    engine.preprocess(preset).close();
  } catch (error) {
    throw new UsageError(`--preset ${preset}: ${/** @type {Error} */ (error).message}`);
  }
  return preset;
}
