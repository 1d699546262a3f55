// The picture component: a viewer, its boxes, a region to draw for the next question, and the box editor.
// Hovering a phrase in the list highlights its boxes, and the other way round.

import { drawBoxes, listPhrases, markAt, missingItem, phrasesOf, place, placeLabels } from './boxes.js'
import { GRIPS, nudged } from './corners.js'
import { History } from './history.js'
import { press } from './keys.js'
import { Pointer } from './pointer.js'
import { resize } from './sheet.js'
import { View } from './view.js'

/** @typedef {import('./view.js').Point} Point */
/** @typedef {import('./view.js').Corners} Corners */
/** @typedef {import('./boxes.js').Mark} Mark */
/**
 * @typedef {object} Data
 * @property {string} url @property {number} width @property {number} height of the picture in pixels
 * @property {string} alt @property {string[]} missing phrases asked for and not found
 * @property {Mark[]} marks @property {string} of identifies the turn of the boxes
 * @property {Mark[]} found the boxes as the model gave them @property {boolean} canEdit
 * @property {string[]} palette @property {number} unsure @property {number} minScore hide boxes with a lower score
 * @property {number} asked grows with every question: a drawn region holds for one question only
 * @property {{ corners: Corners, asked: number } | null} box
 */
/** @typedef {(name: string, value: unknown) => void} Send */
/** @typedef {HTMLElement & { picture?: Picture }} Root keeps the picture between reruns of the page */

const NEW = 'object'

/** @typedef {{ parentElement: HTMLElement, data: Data, setStateValue: Send, setTriggerValue: Send }} Component */

/** @param {Component} component */
export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const root = /** @type {Root} */ (parentElement.querySelector('.picture'))
  // Before the viewer is created, which measures the element.
  root.style.setProperty('--ratio', String(data.width / data.height))
  const picture = (root.picture ??= new Picture(root))
  picture.update(data, setStateValue, setTriggerValue)
  return () => setTimeout(() => root.isConnected || picture.close(), 1000)
}

export class Picture {
  /** @type {Data} */ data = /** @type {any} */ ({ of: '', asked: -1, marks: [], missing: [], palette: ['#fff'] })
  /** @type {Send} */ setState = () => {}
  /** @type {Send} */ trigger = () => {}
  /** @type {History<Mark[]>} */ history = new History(/** @type {Mark[]} */ ([]))
  /** @type {import('./boxes.js').Drawn[]} */ drawn = []
  /** @type {HTMLButtonElement[]} */ buttons = []
  /** @type {Mark[] | null} the marks that the elements were built from */ built = null
  /** @type {number | null} */ pinned = null
  /** @type {number | null} */ selected = null
  /** @type {Corners | null} the drawn region, until it is cleared */ region = null
  isEditing = false
  isPanning = false
  minScore = 0
  label = NEW

  /** @param {Root} root */
  constructor(root) {
    this.root = root
    /** @param {string} name @returns {any} */
    const find = (name) => root.querySelector(`.${name}`)
    this.stage = /** @type {HTMLElement} */ (find('stage'))
    this.parts = { boxes: find('boxes'), region: find('region'), grips: find('grips'), list: find('phrases') }
    this.fields = { editor: find('editor'), label: find('label'), minScore: find('min-score'), threshold: find('threshold') }
    this.announced = /** @type {HTMLElement} */ (find('announced'))
    this.parts.grips.replaceChildren(...GRIPS.slice().map(() => document.createElement('i')))
    this.pointer = new Pointer(this)
    this.view = new View(find('canvas'), this.pointer, () => this.layout())
    this.stage.onpointermove = (event) => this.pointer.hover(event)
    this.stage.onpointerleave = () => this.highlight(null)
    this.stage.onkeydown = (event) => press(this, event)
    this.stage.onkeyup = (event) => event.key === ' ' && this.pan(false)
    this.listen()
    resize(find('sheet'), this.stage, root)
  }

  close() {
    this.view.close()
    this.root.picture = undefined
  }

  /** @param {Data} data @param {Send} setState @param {Send} trigger */
  update(data, setState, trigger) {
    const [before, isOther] = [this.data, data.of !== this.data.of]
    Object.assign(this, { data, setState, trigger })
    this.root.querySelector('.canvas')?.setAttribute('aria-label', data.alt)
    this.view.open(data.url, data.width, data.height)
    if (data.minScore !== before.minScore) this.minScore = data.minScore
    if (data.asked !== before.asked) {
      this.select(null)
      this.region = data.box?.asked === data.asked ? data.box.corners : null
    }
    // The server may echo an older edit than the newest one here.
    if (isOther || !this.history.values.some((marks) => same(marks, data.marks))) {
      this.history = new History(data.marks)
      this.select(null)
    }
    if (!same(data.missing, before.missing)) this.built = null
    if (!data.canEdit) this.isEditing = false
    this.draw()
  }

  get marks() {
    return this.history.value
  }

  /** @param {Mark} mark */
  isShown(mark) {
    return mark.score === null || mark.score >= this.minScore
  }

  // --- showing -----------------------------------------------------------------------------------------------

  draw() {
    if (this.built !== this.marks) this.build()
    phrasesOf(this.marks).forEach(({ marks }, number) => {
      this.buttons[number].hidden = !marks.some((index) => this.isShown(this.marks[index]))
    })
    const scores = this.marks.some(({ score }) => score !== null)
    this.root.classList.toggle('editing', this.isEditing)
    this.root.classList.toggle('panning', this.isPanning)
    this.fields.editor.hidden = !this.isEditing
    this.fields.threshold.hidden = !scores
    this.fields.minScore.value = String(this.minScore)
    this.root.querySelectorAll('output').forEach((output) => (output.value = `${Math.round(100 * this.minScore)}%`))
    this.enable({ edit: this.data.canEdit, undo: this.history.canUndo, redo: this.history.canRedo })
    this.enable({ restore: !same(this.marks, this.data.found), delete: this.selected !== null })
    this.mark('edit', this.isEditing)
    this.mark('pan', this.isPanning)
    const { label } = this.fields
    label.disabled = this.selected === null
    if (!label.matches(':focus')) label.value = this.selected === null ? '' : this.marks[this.selected].text
    this.highlight(null)
    this.layout()
  }

  build() {
    const { palette, unsure } = this.data
    this.built = this.marks
    this.drawn = drawBoxes(this.parts.boxes, this.marks, palette, unsure)
    this.buttons = listPhrases(this.parts.list, this.marks, palette, unsure)
    this.parts.list.append(...this.data.missing.map(missingItem))
    this.buttons.forEach((button, number) => {
      button.onpointerenter = button.onfocus = () => this.highlight(number)
      button.onpointerleave = button.onblur = () => this.highlight(null)
      button.onclick = () => this.pick(number)
    })
  }

  layout() {
    if (!this.view?.isOpen) return
    const shown = this.marks.flatMap((mark, index) => {
      const corners = this.view.toScreen(mark.corners)
      const { box, name } = this.drawn[index]
      box.hidden = name.hidden = !this.isShown(mark)
      place(box, corners)
      return box.hidden ? [] : [{ drawn: this.drawn[index], corners }]
    })
    placeLabels(shown, this.stage.clientWidth, this.stage.clientHeight)
    this.parts.region.hidden = !this.region
    if (this.region) place(this.parts.region, this.view.toScreen(this.region))
    this.parts.grips.hidden = !this.isEditing || this.selected === null
    if (this.selected !== null) place(this.parts.grips, this.view.toScreen(this.marks[this.selected].corners))
    const zoom = this.root.querySelector('.zoom')
    if (zoom) zoom.textContent = `${Math.round(100 * this.view.scale)}%`
  }

  /** @param {number | null} pointedAt the number of a phrase */
  highlight(pointedAt) {
    const highlighted = pointedAt ?? this.pinned
    this.stage.classList.toggle('dimmed', highlighted !== null)
    for (const part of [...this.parts.boxes.children, ...this.buttons]) {
      part.classList.toggle('highlighted', Number(part.dataset.phrase) === highlighted)
      part.classList.toggle('selected', Number(part.dataset.mark) === this.selected)
    }
    this.buttons.forEach((button, number) => button.setAttribute('aria-pressed', String(number === this.pinned)))
  }

  /** @param {number} index of a mark */
  numberOf(index) {
    return phrasesOf(this.marks).findIndex(({ marks }) => marks.includes(index))
  }

  /** @param {Record<string, boolean>} which */
  enable(which) {
    for (const [name, can] of Object.entries(which)) this.button(name).disabled = !can
  }

  /** @param {string} name @param {boolean} isPressed */
  mark(name, isPressed) {
    this.button(name).setAttribute('aria-pressed', String(isPressed))
  }

  /** @param {string} name @returns {HTMLButtonElement} */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.root.querySelector(`[data-do=${name}]`))
  }

  /** @param {string} words announced by screen readers */
  announce(words) {
    this.announced.textContent = words
  }

  // --- choosing ----------------------------------------------------------------------------------------------

  /** @param {number | null} index of a mark */
  select(index) {
    this.selected = index
    this.pinned = index === null ? null : this.numberOf(index)
  }

  /** @param {number} number of a phrase: pin or unpin it; while editing, select its next box */
  pick(number) {
    const { marks } = phrasesOf(this.marks)[number]
    if (this.isEditing) {
      const next = marks[(marks.indexOf(this.selected ?? -1) + 1) % marks.length]
      this.select(next)
    } else if (this.pinned === number) this.select(null)
    else if (marks.length === 1) this.select(marks[0])
    else Object.assign(this, { selected: null, pinned: number })
    this.region = null
    this.send()
    this.draw()
  }

  /** Send the box for the next question: the drawn region or the selected box. */
  send() {
    const corners = this.region ?? (this.selected === null || this.isEditing ? null : this.marks[this.selected].corners)
    this.announce(corners ? `The next question is about the box ${corners.join(', ')}` : 'No box')
    const box = corners && { corners, asked: this.data.asked }
    if (!same(box, this.data.box)) this.setState('box', box)
  }

  // --- editing -----------------------------------------------------------------------------------------------

  /** @param {Point} at */
  click(at) {
    const hadRegion = this.region !== null
    this.region = null
    if (hadRegion) this.select(null)
    else {
      const index = markAt(this.marks, at, (mark) => this.isShown(mark))
      this.select(index === this.selected ? null : index)
    }
    this.send()
    this.draw()
  }

  /** @param {Corners | null} corners of the drawn box: a new box while editing, else the next question's region */
  use(corners) {
    if (!this.isEditing) {
      this.region = corners
      this.select(null)
      this.send()
      return this.draw()
    }
    this.region = null
    if (!corners) return this.draw()
    this.commit([...this.marks, { text: this.label, corners, score: null }], this.marks.length)
    this.fields.label.focus()
    this.fields.label.select()
  }

  /** @param {Partial<Mark>} changes of the selected box */
  change(changes) {
    const marks = this.marks.map((mark, index) => (index === this.selected ? { ...mark, ...changes } : mark))
    this.commit(marks, this.selected)
  }

  /** @param {Mark[]} marks @param {number | null} selected */
  commit(marks, selected) {
    this.history.add(marks)
    this.select(selected)
    this.trigger('edited', { marks })
    this.draw()
  }

  /** @param {-1 | 1} steps */
  step(steps) {
    if (!(steps < 0 ? this.history.canUndo : this.history.canRedo)) return
    this.history.go(steps)
    this.select(null)
    this.announce(steps < 0 ? 'Undone' : 'Redone')
    this.trigger('edited', { marks: this.marks })
    this.draw()
  }

  // --- buttons and keys --------------------------------------------------------------------------------------

  /** @param {Point} direction @param {boolean} resizes */
  nudge(direction, resizes) {
    if (this.isPanning) return this.view.pan(direction[0] / 5, direction[1] / 5)
    if (this.isEditing && this.selected !== null) {
      const corners = nudged(this.marks[this.selected].corners, direction, resizes, this.data, 200)
      return this.change({ corners, score: null })
    }
    this.region = nudged(this.region, direction, resizes, this.data, 50)
    this.layout()
  }

  /** @param {boolean} isPanning */
  pan(isPanning) {
    this.isPanning = isPanning
    this.draw()
  }

  actions = /** @type {Record<string, () => void>} */ ({
    'zoom-in': () => this.view.zoom(1),
    'zoom-out': () => this.view.zoom(-1),
    fit: () => this.view.zoom(0),
    pan: () => this.pan(!this.isPanning),
    'hold-to-pan': () => this.pan(true),
    full: () => this.full(),
    edit: () => this.edit(!this.isEditing),
    undo: () => this.step(-1),
    redo: () => this.step(1),
    delete: () => this.delete(),
    restore: () => this.commit(this.data.found, null),
    use: () => this.region && this.use(this.region),
    clear: () => {
      this.region = null
      this.pointer.press = null
      this.select(null)
      this.send()
      this.draw()
    },
  })

  /** @param {boolean} isEditing */
  edit(isEditing) {
    this.isEditing = isEditing && this.data.canEdit
    this.region = null
    this.send()
    this.draw()
  }

  delete() {
    if (!this.isEditing || this.selected === null) return
    const name = this.marks[this.selected].text
    this.commit(this.marks.filter((_, index) => index !== this.selected), null)
    this.announce(`Deleted: ${name}`)
    this.stage.focus({ preventScroll: true })
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen()
    else if (this.root.requestFullscreen) this.root.requestFullscreen()
    else this.root.classList.toggle('full') // phones without element full screen
  }

  listen() {
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (this.root.querySelectorAll('[data-do]'))) {
      button.onclick = () => this.actions[button.dataset.do ?? '']()
    }
    const { minScore, label, editor } = this.fields
    minScore.oninput = () => {
      this.minScore = Number(minScore.value)
      this.draw()
    }
    minScore.onchange = () => this.trigger('threshold', Number(minScore.value))
    editor.onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault()
      this.stage.focus({ preventScroll: true })
    }
    label.onchange = () => {
      this.label = label.value.trim() || NEW
      if (this.selected !== null && this.label !== this.marks[this.selected].text) this.change({ text: this.label })
    }
  }
}

/** @param {unknown} one @param {unknown} other */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)
