// Keeps the end of the conversation above the input field, unless the user scrolled away; then a button
// leads back.

// Closer to the end than this, in pixels, counts as being there.
const NEAR = 60
const MARGIN = 12

/** @type {{ seen: string, isFollowing: boolean }} survives reruns of the page */
const memory = { seen: '', isFollowing: true }

/**
 * @param {HTMLButtonElement} button scrolls back to the end
 * @param {string} newest a new value scrolls there too
 * @returns {() => void} the cleanup
 */
export function follow(button, newest) {
  const main = /** @type {HTMLElement} */ (document.querySelector('[data-testid="stMain"]'))
  if (newest !== memory.seen) Object.assign(memory, { seen: newest, isFollowing: true })

  const talk = () => document.querySelector('.st-key-talk')?.getBoundingClientRect() ?? new DOMRect()
  const field = () => document.querySelector('[data-testid="stBottomBlockContainer"]')?.getBoundingClientRect()
  // The welcome screen is read from its top.
  const hasQuestion = () => document.querySelector('.st-key-talk [class*="st-key-asked-"]') !== null
  /** @returns {number} how many pixels of the conversation lie below the visible part */
  const hidden = () => (hasQuestion() ? talk().bottom + MARGIN - (field()?.top ?? innerHeight) : 0)
  const offer = () => {
    button.hidden = memory.isFollowing || hidden() <= NEAR
    button.style.left = `${talk().left + talk().width / 2}px`
    button.style.bottom = `${innerHeight - (field()?.top ?? innerHeight) + MARGIN}px`
  }
  const keepUp = () => {
    if (memory.isFollowing && hidden() > 0) main.scrollTop += hidden()
    offer()
  }
  let last = main.scrollTop
  const scrolled = () => {
    if (main.scrollTop < last && hidden() > 0) memory.isFollowing = false
    else if (main.scrollTop > last && hidden() <= NEAR) memory.isFollowing = true
    last = main.scrollTop
    offer()
  }
  button.onclick = () => {
    memory.isFollowing = true
    keepUp()
  }
  main.addEventListener('scroll', scrolled, { passive: true })
  const sizes = new ResizeObserver(keepUp)
  for (const element of main.querySelectorAll('.st-key-talk, [data-testid="stMainBlockContainer"]')) {
    sizes.observe(element)
  }
  const watcher = new MutationObserver(keepUp)
  watcher.observe(main, { childList: true, subtree: true, characterData: true })
  keepUp()
  return () => {
    main.removeEventListener('scroll', scrolled)
    sizes.disconnect()
    watcher.disconnect()
  }
}
