// A picture with the boxes of phrases, and the phrases below it: pointing at one shows the other, a click
// or Enter keeps it shown. On the picture a person draws one box more: with the mouse, by touch, or with the
// keyboard. Words come from people and models: they are set as text, never as HTML.
//
// Streamlit runs this again whenever the page changes, so handlers are assigned and never added, and what
// must outlive a run is kept on the stage.
export default function ({ parentElement, data, setStateValue }) {
  const stage = parentElement.querySelector('.stage')
  stage.setAttribute('aria-label', data.label)
  stage.style.setProperty('--ratio', data.width / data.height)
  const image = stage.querySelector('img')
  if (image.src !== data.url) image.src = data.url
  image.alt = data.alt
  const phrases = showPhrases(parentElement, stage, data.phrases)
  drawRegion(parentElement, stage, data, setStateValue, phrases)
  const watcher = new ResizeObserver(() => placeNames(stage))
  watcher.observe(stage)
  return () => watcher.disconnect()
}

// --- boxes of phrases --------------------------------------------------------------------------------------

function showPhrases(root, stage, phrases) {
  const known = JSON.stringify(phrases)
  if (stage.known !== known) {
    stage.known = known
    stage.pinned = null
    build(root, phrases)
    placeNames(stage)
  }
  const buttons = [...root.querySelectorAll('.phrases button')]
  const light = (pointedAt) => {
    const lit = pointedAt ?? stage.pinned
    stage.classList.toggle('dimmed', lit !== null)
    for (const part of [...stage.querySelectorAll('[data-phrase]'), ...buttons]) {
      part.classList.toggle('lit', Number(part.dataset.phrase) === lit)
    }
  }
  const pin = (index) => {
    stage.pinned = index === stage.pinned ? null : index
    buttons.forEach((button, at) => button.setAttribute('aria-pressed', at === stage.pinned))
    light(null)
  }
  buttons.forEach((button, index) => {
    button.onpointerenter = button.onfocus = () => light(index)
    button.onpointerleave = button.onblur = () => light(null)
    button.onclick = () => pin(index)
  })
  light(null)
  return { light, pin, at: (x, y) => smallestAt(phrases, x, y) }
}

function build(root, phrases) {
  const boxes = phrases.flatMap((phrase, index) => phrase.boxes.map((box) => ({ ...box, phrase, index })))
  boxes.sort((one, other) => area(other.bins) - area(one.bins)) // the smallest lie on top
  const drawn = boxes.map(({ bins: [x0, y0, x1, y1], phrase, index }) => {
    const box = part('div', 'box', phrase, index)
    Object.assign(box.style, { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` })
    return box
  })
  const names = boxes.map(({ phrase, index, name }) => {
    const label = part('span', 'name', phrase, index)
    label.textContent = name
    return label
  })
  root.querySelector('.boxes').replaceChildren(...drawn, ...names)
  root.querySelector('.phrases').replaceChildren(
    ...phrases.map((phrase, index) => {
      const [item, words, note] = ['li', 'b', 'small'].map((tag) => document.createElement(tag))
      const button = part('button', '', phrase, index)
      words.textContent = phrase.text
      note.textContent = phrase.note
      button.type = 'button'
      button.title = phrase.text
      button.setAttribute('aria-pressed', 'false')
      button.append(words, note)
      item.append(button)
      return item
    }),
  )
}

function part(tag, kind, phrase, index) {
  const element = document.createElement(tag)
  element.className = kind
  element.dataset.phrase = index
  element.style.setProperty('--colour', phrase.colour)
  return element
}

const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0)

function smallestAt(phrases, x, y) {
  let found = null
  let smallest = Infinity
  phrases.forEach((phrase, index) => {
    for (const { bins } of phrase.boxes) {
      const [x0, y0, x1, y1] = bins
      const inside = x >= x0 && x <= x1 && y >= y0 && y <= y1
      if (inside && area(bins) < smallest) [found, smallest] = [index, area(bins)]
    }
  })
  return found
}

// Put every name at its box where it hides the fewest names before it.
function placeNames(stage) {
  const { clientWidth: width, clientHeight: height } = stage
  const placed = []
  const boxes = [...stage.querySelectorAll('.box')]
  ;[...stage.querySelectorAll('.name')].forEach((name, index) => {
    const box = boxes[index]
    const [left, top, right, bottom] = [
      box.offsetLeft,
      box.offsetTop,
      box.offsetLeft + box.offsetWidth,
      box.offsetTop + box.offsetHeight,
    ]
    const [w, h] = [name.offsetWidth, name.offsetHeight]
    const spots = [
      [left, top - h],
      [right - w, top - h],
      [left, bottom],
      [right - w, bottom],
      [left, top],
      [left, bottom - h],
    ].map(([x, y]) => [Math.max(0, Math.min(x, width - w)), Math.max(0, Math.min(y, height - h))])
    const hidden = ([x, y]) =>
      placed.reduce((sum, [px, py, pw, ph]) => {
        const across = Math.min(x + w, px + pw) - Math.max(x, px)
        const down = Math.min(y + h, py + ph) - Math.max(y, py)
        return sum + Math.max(0, across) * Math.max(0, down)
      }, 0)
    const [x, y] = spots.reduce((best, spot) => (hidden(spot) < hidden(best) ? spot : best))
    Object.assign(name.style, { left: `${x}px`, top: `${y}px` })
    placed.push([x, y, w, h])
  })
}

// --- the box that a person draws -----------------------------------------------------------------------------

function drawRegion(root, stage, { width, height, box }, setStateValue, phrases) {
  const region = stage.querySelector('.region')
  const heard = root.querySelector('.heard')
  const show = (shown) => {
    stage.current = shown
    region.hidden = !shown
    if (!shown) return
    const [x0, y0, x1, y1] = shown
    region.style.left = `${(100 * x0) / width}%`
    region.style.top = `${(100 * y0) / height}%`
    region.style.width = `${(100 * (x1 - x0)) / width}%`
    region.style.height = `${(100 * (y1 - y0)) / height}%`
  }
  const send = (drawn) => {
    show(drawn)
    heard.textContent = drawn ? `Box drawn: ${drawn.join(', ')}` : 'No box'
    if (JSON.stringify(drawn) !== JSON.stringify(box)) setStateValue('box', drawn)
  }
  if (!stage.start) show(box)
  drawByPointer(stage, { width, height, box, show, send }, phrases)
  drawByKey(stage, { width, height, show, send })
}

function drawByPointer(stage, { width, height, box, show, send }, phrases) {
  const smallest = Math.max(width, height) / 100
  const point = (event) => {
    const area = stage.getBoundingClientRect()
    return [
      within(((event.clientX - area.left) / area.width) * width, width),
      within(((event.clientY - area.top) / area.height) * height, height),
    ]
  }
  const phraseAt = ([x, y]) => phrases.at((100 * x) / width, (100 * y) / height)
  const isLarge = ([x0, y0, x1, y1]) => x1 - x0 >= smallest && y1 - y0 >= smallest

  stage.onpointerdown = (event) => {
    if (event.button) return
    stage.setPointerCapture(event.pointerId)
    stage.start = point(event)
  }
  stage.onpointermove = (event) => {
    const at = point(event)
    if (stage.start) {
      const drawn = span(stage.start, at)
      return show(isLarge(drawn) ? drawn : box)
    }
    const pointedAt = phraseAt(at)
    stage.classList.toggle('points', pointedAt !== null)
    phrases.light(pointedAt)
  }
  stage.onpointerleave = () => {
    if (!stage.start) phrases.light(null)
  }
  stage.onpointerup = (event) => {
    if (!stage.start) return
    const drawn = span(stage.start, point(event))
    stage.start = null
    if (isLarge(drawn)) return send(drawn)
    const clicked = phraseAt(point(event))
    if (box) send(null)
    else if (clicked !== null) phrases.pin(clicked)
  }
  stage.onpointercancel = () => {
    stage.start = null
    show(box)
  }
}

function drawByKey(stage, { width, height, show, send }) {
  stage.onkeydown = (event) => {
    if (event.key === 'Escape') {
      stage.start = null
      return send(null)
    }
    if (event.key === 'Enter') return send(stage.current)
    const moved = moveByKey(event, stage.current, width, height)
    if (!moved) return
    event.preventDefault()
    show(moved)
  }
}

const within = (value, end) => Math.round(Math.min(Math.max(value, 0), end))

const span = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]

// Arrows move the box by a fiftieth of the picture, with Shift its lower right corner alone.
function moveByKey(event, current, width, height) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
  if (!(event.key in arrows)) return null
  if (!current) return [width / 4, height / 4, (3 * width) / 4, (3 * height) / 4].map(Math.round)
  const [x0, y0, x1, y1] = current
  const [across, down] = arrows[event.key]
  const [dx, dy] = [Math.round((across * width) / 50), Math.round((down * height) / 50)]
  if (event.shiftKey) return span([x0, y0], [within(x1 + dx, width), within(y1 + dy, height)])
  const [left, top] = [within(x0 + dx, width - (x1 - x0)), within(y0 + dy, height - (y1 - y0))]
  return [left, top, left + x1 - x0, top + y1 - y0]
}
