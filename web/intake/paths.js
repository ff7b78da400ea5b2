// @ts-check
/** Where a file lay below the folder that was given. A picker writes it into the file; into one of a dropped folder it is written here. */

/** @param {File} file @param {string} path */
export const setPath = (file, path) => Object.defineProperty(file, 'webkitRelativePath', { value: path, configurable: true });

/** Its name, where there was no folder. @param {File} file */
export const pathOf = (file) => file.webkitRelativePath || file.name;
