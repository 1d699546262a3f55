// The pointer on the picture: draw a box, pull or move one, click one, or hover over one.

import { place, markAt } from './boxes.js'
import { gripAt, adjusted, span } from './corners.js'

/** @typedef {import('./view.js').Point} Point */
/** @typedef {import('./view.js').Corners} Corners */
/** @typedef {import('./corners.js').Grip} Grip */
/** @typedef {import('./view.js').Gestures} Gestures */

const GRAB_DISTANCE = { mouse: 9, touch: 22 } // how close to an edge a pointer grabs it, in screen pixels
const MIN_SIDE = 5 // a box drawn smaller than this is taken for a click, in screen pixels

/** @implements {Gestures} */
export class Pointer {
  /** @type {{ at: Point, grip: Grip | null, from: Corners } | null} */ press = null

  /** @param {import('./picture.js').Picture} picture */
  constructor(picture) {
    this.picture = picture
  }

  /** @param {Point} at @param {boolean} isTouch */
  start(at, isTouch) {
    const { picture } = this
    picture.stage.focus({ preventScroll: true })
    if (picture.isPanning) return false
    const [x, y] = picture.view.toScreen([...at, ...at])
    const grip = picture.isEditing ? this.grip([x, y], isTouch ? GRAB_DISTANCE.touch : GRAB_DISTANCE.mouse) : null
    const from = picture.selected === null ? span(at, at, picture.data) : picture.marks[picture.selected].corners
    this.press = { at, grip, from }
    return true
  }

  /** @param {Point} at */
  drag(at) {
    const { picture } = this
    const corners = this.dragged(at)
    if (this.press?.grip && picture.selected !== null && corners) {
      place(picture.drawn[picture.selected].box, picture.view.toScreen(corners))
      place(picture.parts.grips, picture.view.toScreen(corners))
    } else if (!this.press?.grip) {
      picture.region = corners
      picture.parts.region.hidden = !corners
      if (corners) place(picture.parts.region, picture.view.toScreen(corners))
    }
    return true
  }

  /** @param {Point} at @param {boolean} isClick */
  end(at, isClick) {
    const [corners, grip] = [this.dragged(at), this.press?.grip]
    this.press = null
    if (isClick || !corners) return this.picture.click(at)
    if (grip && this.picture.selected !== null) return this.picture.change({ corners, score: null })
    this.picture.use(corners)
  }

  cancel() {
    const { picture } = this
    const { box, asked } = picture.data
    this.press = null
    picture.region = box?.asked === asked && picture.selected === null ? box.corners : null
    picture.layout()
  }

  /** @param {PointerEvent} event */
  hover(event) {
    const { picture } = this
    if (this.press || !picture.view.isOpen) return
    const { left, top } = picture.stage.getBoundingClientRect()
    const at = { x: event.clientX - left, y: event.clientY - top }
    const grip = picture.isEditing ? this.grip([at.x, at.y], GRAB_DISTANCE.mouse) : null
    const index = markAt(picture.marks, picture.view.toPicture(at), (mark) => picture.isShown(mark))
    picture.stage.style.cursor = picture.isPanning ? 'grab' : grip ? cursorOf(grip) : index === null ? '' : 'pointer'
    picture.highlight(index === null ? null : picture.numberOf(index))
  }

  /** @param {Point} at in screen pixels @param {number} reach */
  grip(at, reach) {
    const { selected, marks, view } = this.picture
    return selected === null ? null : gripAt(view.toScreen(marks[selected].corners), at, reach)
  }

  /** @param {Point} at @returns {Corners | null} the box drawn or adjusted so far, null if it is too small */
  dragged(at) {
    if (!this.press) return null
    const { at: [x, y], grip, from } = this.press
    const { data, view } = this.picture
    const corners = grip ? adjusted(from, grip, [at[0] - x, at[1] - y], data) : span([x, y], at, data)
    const [x0, y0, x1, y1] = corners
    const minSide = MIN_SIDE / view.scale
    return x1 - x0 >= minSide && y1 - y0 >= minSide ? corners : null
  }
}

/** @param {Grip} grip */
function cursorOf({ across, down }) {
  if (!across && !down) return 'move'
  if (!across || !down) return across ? 'ew-resize' : 'ns-resize'
  return across === down ? 'nwse-resize' : 'nesw-resize'
}
