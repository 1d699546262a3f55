// Box geometry: corners in pixels of the picture.

/** @typedef {import('./view.js').Corners} Corners */
/** @typedef {import('./view.js').Point} Point */
/** @typedef {{ width: number, height: number }} Size */
/** @typedef {{ across: -1 | 0 | 1, down: -1 | 0 | 1 }} Grip the sides of a box being dragged; 0, 0 is the whole box */

export const GRIPS = /** @type {Grip[]} */ ([-1, 0, 1].flatMap((down) => [-1, 0, 1].map((across) => ({ across, down }))))

/** @param {number} value @param {number} end */
const clamp = (value, end) => Math.round(Math.min(Math.max(value, 0), end))

/** @param {Corners} corners */
export const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0)

/** @param {Point} one @param {Point} other @param {Size} size @returns {Corners} the box between two points */
export function span([ax, ay], [bx, by], { width, height }) {
  const [x0, x1] = [clamp(Math.min(ax, bx), width), clamp(Math.max(ax, bx), width)]
  const [y0, y1] = [clamp(Math.min(ay, by), height), clamp(Math.max(ay, by), height)]
  return [x0, y0, x1, y1]
}

/** @param {Corners} corners @param {Grip} grip @param {Point} by @param {Size} size @returns {Corners} */
export function adjusted([x0, y0, x1, y1], { across, down }, [dx, dy], size) {
  if (!across && !down) {
    const left = clamp(x0 + dx, size.width - (x1 - x0))
    const top = clamp(y0 + dy, size.height - (y1 - y0))
    return [left, top, left + x1 - x0, top + y1 - y0]
  }
  const [left, right] = [across < 0 ? x0 + dx : x0, across > 0 ? x1 + dx : x1]
  const [top, bottom] = [down < 0 ? y0 + dy : y0, down > 0 ? y1 + dy : y1]
  return span([left, top], [right, bottom], size)
}

/**
 * Return which grip of a box is under the pointer, null outside.
 * @param {Corners} box @param {Point} at @param {number} reach all in screen pixels
 * @returns {Grip | null}
 */
export function gripAt([x0, y0, x1, y1], [x, y], reach) {
  if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach) return null
  /** @param {number} value @param {number} low @param {number} high @returns {-1 | 0 | 1} */
  const side = (value, low, high) => {
    const near = Math.min(reach, (high - low) / 3)
    return value < low + near ? -1 : value > high - near ? 1 : 0
  }
  return { across: side(x, x0, x1), down: side(y, y0, y1) }
}

/** Arrow keys move a box by a fraction of the picture, with Shift only its lower right corner. */
const ARROWS = /** @type {Record<string, Point>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
})

/** @param {string} key @returns {Point | null} */
export const arrow = (key) => ARROWS[key] ?? null

/**
 * Return a box moved or resized by an arrow key, or a first box in the middle.
 * @param {Corners | null} box @param {Point} direction @param {boolean} resizes @param {Size} size @param {number} parts
 * @returns {Corners}
 */
export function nudged(box, [across, down], resizes, size, parts) {
  const { width, height } = size
  if (!box) return span([width / 4, height / 4], [(3 * width) / 4, (3 * height) / 4], size)
  /** @type {Point} */
  const by = [across * Math.max(1, width / parts), down * Math.max(1, height / parts)]
  return adjusted(box, resizes ? { across: 1, down: 1 } : { across: 0, down: 0 }, by, size)
}
