// The keyboard on the picture.

import { arrow } from './corners.js'

const KEYS = /** @type {Record<string, string>} */ ({
  '+': 'zoom-in',
  '=': 'zoom-in',
  '-': 'zoom-out',
  0: 'fit',
  m: 'pan',
  ' ': 'hold-to-pan',
  f: 'full',
  e: 'edit',
  Delete: 'delete',
  Backspace: 'delete',
  Enter: 'use',
  Escape: 'clear',
})

/**
 * Do what a key means on the picture.
 * @param {import('./picture.js').Picture} picture @param {KeyboardEvent} event
 */
export function press(picture, event) {
  const direction = arrow(event.key)
  const action = direction ? () => picture.nudge(direction, event.shiftKey) : actionOf(picture, event)
  if (!action) return
  action()
  event.preventDefault()
  event.stopPropagation()
}

/**
 * @param {import('./picture.js').Picture} picture @param {KeyboardEvent} event
 * @returns {(() => void) | undefined}
 */
function actionOf(picture, event) {
  if (!event.ctrlKey && !event.metaKey) return picture.actions[KEYS[event.key] ?? '']
  const key = event.key.toLowerCase()
  if (!picture.isEditing || !['y', 'z'].includes(key)) return undefined
  return key === 'y' || event.shiftKey ? picture.actions.redo : picture.actions.undo
}
