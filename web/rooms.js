// @ts-check
/** The page's rooms, one shown at a time; the address says which (#workshop), so that back and reload work. */

const rooms = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main')]);
const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll('.rooms a')]);

function show() {
  const wanted = rooms.find(({ id }) => `#${id}` === location.hash);
  // Other addresses (#result, say) lead into the room that is shown.
  if (!wanted && location.hash.length > 1 && document.querySelector('main:not([hidden])')?.querySelector(location.hash)) return;
  const room = wanted ?? rooms[0];
  for (const one of rooms) one.hidden = one !== room;
  for (const link of links) {
    if (link.hash === `#${room.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

/** @param {string} id */
export function enter(id) {
  if (location.hash !== `#${id}`) location.hash = id;
  show();
}

addEventListener('hashchange', show);
show();
