// The button that takes a photo on a phone. It opens the upload field as a camera, which also works over plain
// HTTP, where pages may not use the camera themselves.

/** @returns {() => void} the cleanup */
export function handleCamera() {
  /** @param {MouseEvent} event */
  const click = (event) => {
    if (!(event.target instanceof Element) || !event.target.closest('.camera')) return
    const field = /** @type {HTMLInputElement | null} */ (
      document.querySelector('[data-testid="stFileUploaderDropzoneInput"]')
    )
    if (!field) return
    const { accept } = field
    field.setAttribute('capture', 'environment') // the camera on the back
    field.accept = 'image/*'
    field.click()
    field.removeAttribute('capture')
    field.accept = accept
  }
  document.addEventListener('click', click)
  return () => document.removeEventListener('click', click)
}
