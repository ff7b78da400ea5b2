// @ts-check
/** Where a file lay below the folder that was given. A picker writes it into the file; of a dropped folder it is kept here. */

/** @type {WeakMap<File, string>} */
const paths = new WeakMap();

/** @param {File} file @param {string} path */
export const setPath = (file, path) => paths.set(file, path);

/** Its name, where there was no folder. @param {File} file */
export const pathOf = (file) => file.webkitRelativePath || paths.get(file) || file.name;
