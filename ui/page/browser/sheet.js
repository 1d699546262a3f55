// The handle below the picture that changes its height on a phone.

/** @param {HTMLElement} handle @param {HTMLElement} stage @param {HTMLElement} root gets the height as `--room` */
export function resize(handle, stage, root) {
  let from = 0
  handle.onpointerdown = (event) => {
    from = stage.clientHeight - event.clientY
    handle.setPointerCapture(event.pointerId)
  }
  handle.onpointermove = (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return
    const height = Math.min(Math.max(from + event.clientY, innerHeight * 0.1), innerHeight * 0.6)
    root.style.setProperty('--room', `${height}px`)
  }
}
