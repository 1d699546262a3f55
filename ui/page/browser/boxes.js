// Boxes and their labels on a picture, and the list of phrases below it. Labels are untrusted: they are set
// as text, never as HTML.

import { area } from './corners.js'

/** @typedef {import('./view.js').Corners} Corners */
/** @typedef {{ text: string, corners: Corners, score: number | null }} Mark a box with its phrase */
/** @typedef {{ text: string, marks: number[] }} Phrase a phrase with the indices of its boxes */
/** @typedef {{ box: HTMLElement, name: HTMLElement, width: number, height: number }} Drawn */

/** @param {Mark[]} marks @returns {Phrase[]} the phrases in order of first appearance */
export function phrasesOf(marks) {
  /** @type {Map<string, number[]>} */
  const found = new Map()
  marks.forEach(({ text }, index) => found.set(text, [...(found.get(text) ?? []), index]))
  return [...found].map(([text, indices]) => ({ text, marks: indices }))
}

/** @param {Mark} mark @param {number} unsure the score below which the model is unsure */
export function labelOf({ text, score }, unsure) {
  return [text || 'here', confidence(score, unsure)].filter(Boolean).join(' ')
}

/** @param {number | null} score @param {number} unsure */
function confidence(score, unsure) {
  if (score === null) return ''
  const percent = `${Math.round(100 * score)}%`
  return score < unsure ? `unsure, ${percent}` : percent
}

/**
 * Draw every box with its label, the smallest on top.
 * @param {HTMLElement} layer @param {Mark[]} marks @param {string[]} palette @param {number} unsure
 * @returns {Drawn[]} the elements, in the order of the marks
 */
export function drawBoxes(layer, marks, palette, unsure) {
  const numbers = new Map(phrasesOf(marks).flatMap((phrase, number) => phrase.marks.map((index) => [index, number])))
  const drawn = marks.map((mark, index) => {
    const [box, name] = ['box', 'name'].map((kind) => {
      const element = document.createElement(kind === 'box' ? 'div' : 'span')
      const number = numbers.get(index) ?? 0
      element.className = kind
      element.classList.toggle('unsure', mark.score !== null && mark.score < unsure)
      element.dataset.phrase = String(number)
      element.dataset.mark = String(index)
      element.style.setProperty('--colour', palette[number % palette.length])
      return element
    })
    name.textContent = labelOf(mark, unsure)
    return { box, name, width: 0, height: 0 }
  })
  const largestFirst = marks.map((_, index) => index).sort((one, other) => area(marks[other].corners) - area(marks[one].corners))
  layer.replaceChildren(...largestFirst.map((index) => drawn[index].box), ...drawn.map(({ name }) => name))
  return drawn.map((item) => ({ ...item, width: item.name.offsetWidth, height: item.name.offsetHeight }))
}

/**
 * List the phrases as buttons.
 * @param {HTMLElement} list @param {Mark[]} marks @param {string[]} palette @param {number} unsure
 * @returns {HTMLButtonElement[]}
 */
export function listPhrases(list, marks, palette, unsure) {
  const buttons = phrasesOf(marks).map(({ text, marks: indices }, number) => {
    const [item, words, note] = ['li', 'b', 'small'].map((tag) => document.createElement(tag))
    const button = document.createElement('button')
    button.type = 'button'
    button.title = text
    button.dataset.phrase = String(number)
    button.style.setProperty('--colour', palette[number % palette.length])
    button.setAttribute('aria-pressed', 'false')
    words.textContent = text || 'here'
    note.textContent = indices.length > 1 ? `${indices.length} boxes` : confidence(marks[indices[0]].score, unsure)
    button.append(words, note)
    item.append(button)
    return button
  })
  list.replaceChildren(...buttons.map((button) => /** @type {HTMLElement} */ (button.parentElement)))
  return buttons
}

/** @param {string} thing that was asked for @returns {HTMLElement} a list item that says it was not found */
export function missingItem(thing) {
  const item = document.createElement('li')
  item.className = 'missing'
  item.textContent = `${thing}: not found`
  return item
}

/** @param {HTMLElement} element @param {Corners} corners in screen pixels */
export function place(element, [x0, y0, x1, y1]) {
  element.style.transform = `translate(${x0}px, ${y0}px)`
  element.style.width = `${x1 - x0}px`
  element.style.height = `${y1 - y0}px`
}

/**
 * Place every label at its box where it overlaps the labels placed before the least.
 * @param {{ drawn: Drawn, corners: Corners }[]} shown corners are in screen pixels
 * @param {number} width of the screen @param {number} height
 */
export function placeLabels(shown, width, height) {
  /** @type {Corners[]} */
  const placed = []
  for (const { drawn, corners: [left, top, right, bottom] } of shown) {
    const { width: w, height: h } = drawn
    const spots = [
      [left, top - h],
      [right - w, top - h],
      [left, bottom],
      [right - w, bottom],
      [left, top],
      [left, bottom - h],
    ].map(([x, y]) => [Math.max(0, Math.min(x, width - w)), Math.max(0, Math.min(y, height - h))])
    /** @param {number[]} spot */
    const hidden = ([x, y]) =>
      placed.reduce((sum, [x0, y0, x1, y1]) => {
        const across = Math.min(x + w, x1) - Math.max(x, x0)
        const down = Math.min(y + h, y1) - Math.max(y, y0)
        return sum + Math.max(0, across) * Math.max(0, down)
      }, 0)
    const [x, y] = spots.reduce((best, spot) => (hidden(spot) < hidden(best) ? spot : best))
    drawn.name.style.transform = `translate(${x}px, ${y}px)`
    placed.push([x, y, x + w, y + h])
  }
}

/**
 * Return the smallest of the boxes at a point, null where there is none.
 * @param {Mark[]} marks @param {import('./view.js').Point} at @param {(mark: Mark) => boolean} isShown
 * @returns {number | null}
 */
export function markAt(marks, [x, y], isShown) {
  /** @type {number | null} */
  let found = null
  marks.forEach((mark, index) => {
    const [x0, y0, x1, y1] = mark.corners
    if (!isShown(mark) || x < x0 || x > x1 || y < y0 || y > y1) return
    if (found === null || area(mark.corners) < area(marks[found].corners)) found = index
  })
  return found
}
