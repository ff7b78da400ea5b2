// @ts-check
/** A look into model and profile files without running anything. */
import { loadModule } from '../../js/detector.js';
import { Engine } from '../../js/engine.js';
import { host } from '../../js/host-node.js';
import { readInput } from './files.js';

export async function makeEngine() {
  const { module } = await loadModule(host, {});
  return Engine.create(module);
}

/** nac_model_info of a file.
 * @param {string} file
 * @returns {Promise<any>}
 */
export async function readModelInfo(file) {
  const bytes = await readInput(file);
  const model = (await makeEngine()).openModel(bytes);
  const { info } = model;
  model.close();
  return info;
}
