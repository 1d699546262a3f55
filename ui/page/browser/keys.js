// The keyboard on the picture.

import { arrow } from './corners.js'

const KEYS = /** @type {Record<string, string>} */ ({
  '+': 'nearer',
  '=': 'nearer',
  '-': 'away',
  0: 'fit',
  m: 'move',
  ' ': 'hold',
  f: 'full',
  e: 'edit',
  Delete: 'delete',
  Backspace: 'delete',
  Enter: 'take',
  Escape: 'clear',
})

/**
 * Do what a key means on the picture.
 * @param {import('./picture.js').Picture} picture @param {KeyboardEvent} event
 */
export function press(picture, event) {
  const direction = arrow(event.key)
  const act = direction ? () => picture.nudge(direction, event.shiftKey) : actOf(picture, event)
  if (!act) return
  act()
  event.preventDefault()
  event.stopPropagation()
}

/**
 * @param {import('./picture.js').Picture} picture @param {KeyboardEvent} event
 * @returns {(() => void) | undefined}
 */
function actOf(picture, event) {
  if (!event.ctrlKey && !event.metaKey) return picture.acts[KEYS[event.key] ?? '']
  const key = event.key.toLowerCase()
  if (!picture.isEditing || !['y', 'z'].includes(key)) return undefined
  return key === 'y' || event.shiftKey ? picture.acts.redo : picture.acts.undo
}
