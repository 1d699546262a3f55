// Conversation helpers: auto-scroll, copy buttons, the camera and keyboard shortcuts.

import { handleCamera } from './camera.js'
import { follow } from './follow.js'
import { listen } from './shortcuts.js'

/** @param {{ parentElement: ParentNode, data: { newest: string } }} component */
export default function ({ parentElement, data }) {
  /** @param {string} what @returns {any} */
  const find = (what) => parentElement.querySelector(what)
  const ends = [follow(find('.newest'), data.newest), listen(find('dialog'), find('.newest')), copyButtons(find('p')), handleCamera()]
  return () => ends.forEach((end) => end())
}

/** @param {HTMLElement} status @returns {() => void} the cleanup */
function copyButtons(status) {
  /** @param {MouseEvent} event */
  const click = async (event) => {
    const button = event.target instanceof Element ? event.target.closest('.copy') : null
    const words = button?.parentElement?.querySelector('.said')?.textContent
    if (!button || !words) return
    await copy(words)
    button.classList.add('done')
    status.textContent = 'Copied'
    setTimeout(() => button.classList.remove('done'), 1500)
  }
  document.addEventListener('click', click)
  return () => document.removeEventListener('click', click)
}

/** @param {string} words */
async function copy(words) {
  if (navigator.clipboard) return navigator.clipboard.writeText(words)
  const field = document.createElement('textarea') // pages over plain HTTP have no clipboard API
  field.value = words
  document.body.append(field)
  field.select()
  document.execCommand('copy')
  field.remove()
}
