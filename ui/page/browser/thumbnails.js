// Small pictures in a row, one of which is looked at.
export default function ({ parentElement, data, setTriggerValue }) {
  const strip = parentElement.querySelector('.strip')
  strip.setAttribute('aria-label', data.label)
  if (strip.known !== JSON.stringify(data.urls)) {
    strip.known = JSON.stringify(data.urls)
    strip.replaceChildren(
      ...data.urls.map((url, index) => {
        const [button, image] = ['button', 'img'].map((tag) => document.createElement(tag))
        button.type = 'button'
        image.src = url
        image.alt = `Picture ${index + 1}`
        button.append(image)
        return button
      }),
    )
  }
  ;[...strip.children].forEach((button, index) => {
    button.setAttribute('aria-pressed', index === data.current)
    button.onclick = () => setTriggerValue('picked', index)
  })
}
