// A picture that can be zoomed and panned by wheel, touch and the page's buttons, drawn by OpenSeadragon.

import './openseadragon/openseadragon.min.js'

/** @typedef {[number, number]} Point x and y in pixels of the picture or of the screen */
/** @typedef {[number, number, number, number]} Corners left, top, right, bottom in pixels of the picture */
/**
 * Handlers of pointer gestures; `start` and `drag` return whether to keep the picture from panning.
 * @typedef {object} Gestures
 * @property {(at: Point, isTouch: boolean) => boolean} start
 * @property {(at: Point) => boolean} drag
 * @property {(at: Point, isClick: boolean) => void} end
 * @property {() => void} cancel
 */

const Library = /** @type {any} */ (window).OpenSeadragon
const STEP = 1.4
const MAX_ZOOM = 8 // maximum zoom, in screen pixels per picture pixel
const CLICK_DISTANCE = 4 // pixels that a pointer may move during a click

export class View {
  /**
   * @param {HTMLElement} element
   * @param {Gestures} gestures
   * @param {() => void} moved called whenever the picture moves on the screen
   */
  constructor(element, gestures, moved) {
    const settings = { clickToZoom: false, dblClickToZoom: false, flickEnabled: false, pinchToZoom: true }
    this.viewer = Library({
      element,
      drawer: 'canvas',
      showNavigationControl: false,
      animationTime: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 0.3,
      minZoomImageRatio: 1,
      maxZoomPixelRatio: MAX_ZOOM,
      visibilityRatio: 1,
      constrainDuringPan: true,
      zoomPerScroll: 1.25,
      gestureSettingsMouse: { ...settings, scrollToZoom: true },
      gestureSettingsTouch: settings,
      gestureSettingsPen: settings,
    })
    this.viewer.canvas.removeAttribute('tabindex') // the element around it handles keys
    this.url = ''
    this.width = 1
    this.height = 1
    for (const event of ['open', 'update-viewport', 'resize']) this.viewer.addHandler(event, moved)
    this.keepFitting()
    this.listen(gestures)
  }

  /**
   * @param {string} url
   * @param {number} width of the picture in pixels; its file may be smaller
   * @param {number} height
   */
  open(url, width, height) {
    Object.assign(this, { width, height })
    if (url === this.url) return
    this.url = url
    this.viewer.open({ type: 'image', url: String(new URL(url, document.baseURI)) })
  }

  /** Fit the whole picture again when the element changes its size, unless the picture is zoomed. */
  keepFitting() {
    let fits = true
    const { viewer } = this
    viewer.addHandler('update-viewport', () => {
      fits = Math.abs(viewer.viewport.getZoom() / viewer.viewport.getHomeZoom() - 1) < 0.01
    })
    viewer.addHandler('after-resize', () => {
      if (fits) setTimeout(() => viewer.viewport?.goHome(true)) // the library first restores the zoom
    })
  }

  /** @param {Gestures} gestures */
  listen(gestures) {
    /** @type {{ from: { x: number, y: number }, stays: boolean } | null} */
    let press = null
    this.viewer.addHandler('canvas-press', (/** @type {any} */ event) => {
      press = { from: event.position, stays: gestures.start(this.toPicture(event.position), event.pointerType === 'touch') }
    })
    this.viewer.addHandler('canvas-drag', (/** @type {any} */ event) => {
      event.preventDefaultAction = !press || press.stays
      if (press?.stays) gestures.drag(this.toPicture(event.position))
    })
    this.viewer.addHandler('canvas-drag-end', (/** @type {any} */ event) => (event.preventDefaultAction = true))
    this.viewer.addHandler('canvas-pinch', () => {
      if (press) gestures.cancel()
      press = null
    })
    this.viewer.addHandler('canvas-release', (/** @type {any} */ event) => {
      if (!press) return
      const isClick = Math.hypot(event.position.x - press.from.x, event.position.y - press.from.y) <= CLICK_DISTANCE
      if (press.stays || isClick) gestures.end(this.toPicture(event.position), isClick)
      press = null
    })
    this.viewer.addHandler('canvas-key', (/** @type {any} */ event) => (event.preventDefaultAction = true))
  }

  /** @returns {boolean} whether a picture is loaded */
  get isOpen() {
    return this.viewer.world.getItemCount() > 0
  }

  /** @param {{ x: number, y: number }} at pixels of the element @returns {Point} pixels of the picture */
  toPicture(at) {
    const { x, y } = this.viewer.viewport.pointFromPixel(new Library.Point(at.x, at.y), true)
    return [x * this.width, y * this.width]
  }

  /** @param {Corners} corners @returns {Corners} pixels of the element */
  toScreen([x0, y0, x1, y1]) {
    const [low, high] = [[x0, y0], [x1, y1]].map(([x, y]) =>
      this.viewer.viewport.pixelFromPoint(new Library.Point(x / this.width, y / this.width), true),
    )
    return [low.x, low.y, high.x, high.y]
  }

  /** @returns {number} screen pixels per picture pixel */
  get scale() {
    const [x0, , x1] = this.toScreen([0, 0, this.width, this.height])
    return (x1 - x0) / this.width
  }

  /** @param {number} direction 1 zooms in, -1 out, 0 fits the whole picture */
  zoom(direction) {
    const { viewport } = this.viewer
    if (direction) viewport.zoomBy(STEP ** direction)
    else viewport.goHome()
    viewport.applyConstraints()
  }

  /** @param {number} across @param {number} down as fractions of the visible part */
  pan(across, down) {
    const { viewport } = this.viewer
    const { width, height } = viewport.getBounds()
    viewport.panBy(new Library.Point(across * width, down * height))
    viewport.applyConstraints()
  }

  close() {
    this.viewer.destroy()
  }
}
