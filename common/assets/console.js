// What pages do better with a script. Everything works without it: forms are forms, and live parts are renewed by loading the page.
import { initAll } from './govuk-frontend.js'

document.body.classList.add('js-enabled', 'govuk-frontend-supported')
initAll()

// A part of a page that is renewed as soon as the program says that something has changed:
// <div data-live="URL of events" data-part="URL of the part" data-live-status="id of a text">
for (const part of document.querySelectorAll('[data-live]')) {
  const status = document.getElementById(part.dataset.liveStatus)
  const say = (text) => {
    if (status) status.textContent = text
  }
  let due = null
  let again = false
  const renew = async () => {
    if (due) {
      again = true
      return
    }
    due = fetch(part.dataset.part, { headers: { accept: 'text/html' }, redirect: 'error' })
    try {
      const answer = await due
      if (!answer.ok) throw new Error(String(answer.status))
      const opened = new Set(Array.from(part.querySelectorAll('details[open]'), (d) => d.id))
      const focused = part.contains(document.activeElement) ? document.activeElement.id : ''
      const scrolled = Array.from(part.querySelectorAll('.app-matrix[id]'), (m) => [m.id, m.scrollLeft])
      part.innerHTML = await answer.text()
      for (const [id, left] of scrolled) document.getElementById(id)?.scrollTo({ left, behavior: 'instant' })
      for (const id of opened) document.getElementById(id)?.setAttribute('open', '')
      if (focused) document.getElementById(focused)?.focus()
      say('This page shows changes as they come.')
    } catch {
      say('The page could not be renewed. Load it again to see changes.')
    } finally {
      due = null
      if (again) {
        again = false
        renew()
      }
    }
  }
  const events = new EventSource(part.dataset.live)
  events.addEventListener('changed', renew)
  events.addEventListener('open', () => say('This page shows changes as they come.'))
  events.addEventListener('error', () => say('The connection is lost; it is tried again. Load the page to see changes.'))
}

// A text that is checked while it is written: <textarea data-check="URL" data-check-result="id">; the answer is HTML of ours.
for (const text of document.querySelectorAll('textarea[data-check]')) {
  const result = document.getElementById(text.dataset.checkResult)
  let timer = null
  const check = async () => {
    const body = new URLSearchParams(new FormData(text.form))
    try {
      const answer = await fetch(text.dataset.check, { method: 'POST', body, redirect: 'error' })
      if (answer.ok) result.innerHTML = await answer.text()
    } catch {
      // It is checked again, and for good, when the form is sent.
    }
  }
  text.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(check, 400)
  })
}
