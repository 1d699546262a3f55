// A row of thumbnails with the current one highlighted.

/** @typedef {{ urls: string[], current: number }} Data */
/** @typedef {{ parentElement: HTMLElement, data: Data, setTriggerValue: (name: string, value: unknown) => void }} Component */

/** @param {Component} component */
export default function ({ parentElement, data, setTriggerValue }) {
  const strip = /** @type {HTMLElement} */ (parentElement.querySelector('.strip'))
  if (strip.dataset.known !== JSON.stringify(data.urls)) {
    strip.dataset.known = JSON.stringify(data.urls)
    strip.replaceChildren(
      ...data.urls.map((url, index) => {
        const [button, image] = [document.createElement('button'), document.createElement('img')]
        button.type = 'button'
        image.src = url
        image.alt = `Image ${index + 1}`
        button.append(image)
        return button
      }),
    )
  }
  strip.querySelectorAll('button').forEach((button, index) => {
    button.setAttribute('aria-pressed', String(index === data.current))
    button.onclick = () => setTriggerValue('picked', index)
  })
}
