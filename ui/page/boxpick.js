// A picture on which one box is drawn: with the mouse, by touch, or with the keyboard.
// Streamlit runs this again whenever the page changes, so handlers are assigned and never added.
export default function ({ parentElement, data, setStateValue }) {
  const svg = parentElement.querySelector('svg')
  const image = svg.querySelector('image')
  const { width, height, url, label, box } = data
  const smallest = Math.max(width, height) / 100

  svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
  svg.setAttribute('aria-label', label)
  svg.style.aspectRatio = `${width} / ${height}`
  if (image.getAttribute('href') !== url) {
    image.setAttribute('href', url)
    image.setAttribute('width', width)
    image.setAttribute('height', height)
  }

  let current = box
  const show = (shown) => {
    current = shown
    for (const rect of svg.querySelectorAll('rect')) {
      rect.style.display = shown ? '' : 'none'
      if (!shown) continue
      const [x0, y0, x1, y1] = shown
      rect.setAttribute('x', x0)
      rect.setAttribute('y', y0)
      rect.setAttribute('width', x1 - x0)
      rect.setAttribute('height', y1 - y0)
    }
  }
  const send = (drawn) => {
    const large = drawn && drawn[2] - drawn[0] >= smallest && drawn[3] - drawn[1] >= smallest
    show(large ? drawn : null)
    setStateValue('box', current)
  }
  const within = (value, end) => Math.round(Math.min(Math.max(value, 0), end))
  const point = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse())
    return [within(at.x, width), within(at.y, height)]
  }
  const span = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]

  // What is being drawn outlives a run of this function, hence it is kept on the element.
  if (!svg.start) show(box)
  svg.onpointerdown = (event) => {
    if (event.button) return
    svg.setPointerCapture(event.pointerId)
    svg.start = point(event)
    show(null)
  }
  svg.onpointermove = (event) => {
    if (svg.start) show(span(svg.start, point(event)))
  }
  svg.onpointerup = (event) => {
    if (!svg.start) return
    const drawn = span(svg.start, point(event))
    svg.start = null
    send(drawn)
  }
  svg.onpointercancel = () => {
    svg.start = null
    show(box)
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
  svg.onkeydown = (event) => {
    if (event.key === 'Escape') {
      svg.start = null
      return send(null)
    }
    if (event.key === 'Enter') return send(current)
    if (!(event.key in arrows)) return
    event.preventDefault()
    const [x0, y0, x1, y1] = current ?? [width / 4, height / 4, (3 * width) / 4, (3 * height) / 4].map(Math.round)
    const [dx, dy] = [(arrows[event.key][0] * width) / 50, (arrows[event.key][1] * height) / 50]
    const moved = event.shiftKey ? 0 : 1
    show(
      span(
        [within(x0 + moved * dx, width), within(y0 + moved * dy, height)],
        [within(x1 + dx, width), within(y1 + dy, height)],
      ),
    )
  }
}
