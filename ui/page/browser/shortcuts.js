// Keyboard shortcuts, and a dialog that lists them.

/** @param {string} selector */
const element = (selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector))
/** @param {string} key the key of a Streamlit button */
const click = (key) => element(`.st-key-${key} button`)?.click()

/** @type {[string, string, (() => void)?][]} keys, description, action; those without one are handled elsewhere */
const SHORTCUTS = [
  ['/', 'Write a question', () => element('[data-testid="stChatInput"] textarea')?.focus()],
  ['n', 'New session', () => click('new')],
  ['s', 'Stop the answer', () => click('stop')],
  ['r', 'Answer the last question again', () => click('again')],
  ['u', 'Edit the last question', () => click('change')],
  ['i', 'Go to the image', () => picture()?.focus()],
  ['j', 'Go to the newest answer'],
  ['?', 'Show this list'],
  ['arrows', 'On the image: place and move a box; with Shift, resize it'],
  ['Enter, Esc', 'On the image: use the box, or clear it'],
  ['+ − 0', 'On the image: zoom in, zoom out, fit'],
  ['m, arrows', 'On the image: pan (or hold the space bar and drag)'],
  ['f', 'On the image: full screen'],
  ['e', 'On the image: edit boxes; then Delete, Ctrl+Z, Ctrl+Shift+Z'],
]

/** @returns {HTMLElement | null} */
function picture() {
  for (const host of document.querySelectorAll('.st-key-picture *')) {
    const stage = host.shadowRoot?.querySelector('[role=application]')
    if (stage) return /** @type {HTMLElement} */ (stage)
  }
  return null
}

/** @param {HTMLDialogElement} sheet @param {HTMLButtonElement} newest @returns {() => void} the cleanup */
export function listen(sheet, newest) {
  const list = /** @type {HTMLElement} */ (sheet.querySelector('dl'))
  list.replaceChildren(
    ...SHORTCUTS.flatMap(([keys, words]) => {
      const [term, meaning] = ['dt', 'dd'].map((tag) => document.createElement(tag))
      const key = document.createElement('kbd')
      key.textContent = keys
      term.append(key)
      meaning.textContent = words
      return [term, meaning]
    }),
  )
  const acts = new Map(SHORTCUTS.flatMap(([key, , act]) => (act ? [[key, act]] : [])))
  acts.set('?', () => sheet.showModal())
  acts.set('j', () => newest.click())
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const act = acts.get(event.key)
    if (!act || event.ctrlKey || event.metaKey || event.altKey || isWriting(event) || sheet.open) return
    event.preventDefault()
    event.stopImmediatePropagation()
    act()
  }
  document.addEventListener('keydown', press, true)
  return () => document.removeEventListener('keydown', press, true)
}

/** @param {KeyboardEvent} event */
function isWriting(event) {
  const target = event.composedPath()[0]
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || target.matches('input, textarea, select, [role=application]')
}
