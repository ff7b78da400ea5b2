// @ts-check
/** Where images come in. Fires nac-files { files }, whichever way they came. */
import { emit, h } from '../dom.js';
import { filesOf, filesOfFolder } from './inputs.js';
import { hasCamera, takePicture } from './webcam.js';

export class Drop extends HTMLElement {
  connectedCallback() {
    const files = h('input', { type: 'file', multiple: true, hidden: true, id: 'files', change: () => this.#picked(files, [...files.files]) });
    const folder = h('input', { type: 'file', webkitdirectory: true, hidden: true, id: 'folder', change: () => this.#picked(folder, filesOfFolder(folder.files, 'models')) });
    this.replaceChildren(
      h('div', { class: 'drop' },
        h('p', { class: 'drop-title' }, 'Drop images or a folder here'),
        h('p', { class: 'row centre' },
          h('button', { type: 'button', class: 'primary', click: () => files.click() }, 'Choose images'),
          h('button', { type: 'button', click: () => folder.click() }, 'Choose folder')),
        h('p', { class: 'hint' }, 'or paste one with ', h('kbd', null, 'Ctrl'), ' ', h('kbd', null, 'V'),
          hasCamera() && [', or ', h('button', { type: 'button', class: 'link', click: () => this.#photograph() }, 'use the camera')]), files, folder),
    );

    // The whole window takes drops: a near miss must not make the browser leave the page.
    let depth = 0;
    const over = (/** @type {boolean} */ on) => document.body.classList.toggle('dragging', on);
    addEventListener('dragenter', () => over(++depth > 0));
    addEventListener('dragleave', () => over((depth = Math.max(0, depth - 1)) > 0));
    addEventListener('dragover', (event) => event.preventDefault());
    // Before anyone else: other places that take drops keep them to themselves.
    addEventListener('drop', () => over((depth = 0) > 0), true);
    addEventListener('drop', (event) => {
      event.preventDefault();
      if (event.dataTransfer) this.#arrive(filesOf(event.dataTransfer, 'models'));
    });
    addEventListener('paste', (event) => {
      if (event.clipboardData?.files.length) this.#arrive(filesOf(event.clipboardData, 'models'));
    });
  }

  /** @param {HTMLInputElement} input @param {File[]} files */
  #picked(input, files) {
    this.#arrive(Promise.resolve(files));
    input.value = ''; // or choosing the same file again would be no change
  }

  async #photograph() {
    try {
      const file = await takePicture();
      if (file) emit(this, 'nac-files', { files: [file] });
    } catch (error) {
      emit(this, 'nac-failed', { error, subject: 'camera' });
    }
  }

  /** @param {Promise<File[]>} promise */
  async #arrive(promise) {
    try {
      emit(this, 'nac-files', { files: await promise });
    } catch (error) {
      emit(this, 'nac-failed', { error });
    }
  }
}

customElements.define('nac-drop', Drop);
