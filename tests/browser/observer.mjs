// What must be so on every page, in every state, and of every answer, whatever anybody does there. Whoever drives the pages
// does not look for any of it; it is found here, and told at the end.
import { axeSource } from './modules.mjs'

const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

// A path without what differs from one enquiry, person or release to the next.
export const pattern = (path) =>
  path
    .split('?')[0]
    .split('/')
    .map((part) => (/^(?=.*\d)[\w.-]{6,}$|^[0-9a-f-]{16,}$|^\d+$/i.test(part) ? '…' : /^[A-Z]{3}$/.test(part) ? '…' : part))
    .join('/')

// What hostile text would leave behind if it could: see hostile.toml.
const MARKERS = ['executed', 'ran']

const LOOK = (markers) => {
  const faults = []
  const root = document.scrollingElement
  if (root.scrollWidth > root.clientWidth) {
    const beyond = Array.from(document.body.querySelectorAll('*')).find((element) => {
      const box = element.getBoundingClientRect()
      return box.right > root.clientWidth + 1 && box.width > 0 && !element.closest('[role=region][tabindex]')
    })
    const what = beyond ?? Array.from(document.querySelectorAll('main *')).find((element) => element.scrollWidth > root.clientWidth && !element.matches('[role=region]'))
    faults.push(`the page is ${root.scrollWidth} px wide in ${root.clientWidth}: ${what?.outerHTML.slice(0, 160)}`)
  }
  if (document.querySelectorAll('main').length !== 1) faults.push('there is not one main landmark')
  if (document.querySelectorAll('h1').length !== 1) faults.push('there is not one h1')
  if (document.documentElement.lang !== 'en-GB') faults.push('the page does not say its language')
  const wrong = document.querySelector('.govuk-error-summary')
  if (Boolean(wrong) !== document.title.startsWith('Error: ')) faults.push(`title and error summary differ: ${document.title}`)
  for (const link of wrong?.querySelectorAll('a[href^="#"]') ?? []) {
    if (!document.getElementById(link.hash.slice(1))) faults.push(`an error links to nothing: ${link.hash}`)
  }
  for (const marker of markers) {
    // An element with this id would stand under this name, too.
    if (typeof window[marker] === 'number') faults.push('hostile text was executed')
    if (document.querySelector(`[id="${marker}"], [name="${marker}"]`)) faults.push('hostile text became markup')
  }
  const ids = Array.from(document.querySelectorAll('[id]'), (element) => element.id)
  const twice = ids.filter((id, n) => ids.indexOf(id) !== n)
  if (twice.length) faults.push(`ids stand twice: ${twice.slice(0, 3)}`)
  return faults
}

// Addresses hold references and places in lists, never anything of people.
const KNOWN_IN_ADDRESSES = new Set(['next', 'person', 'agency', 'action', 'holder', 'from', 'to', 'page', 'after', 'before', 'kind', 'party', 'enquiry', 'figure', 'show'])

export class Observer {
  faults = []
  states = new Set()
  answers = 0
  figures = {}

  fault(text) {
    if (!this.faults.includes(text)) this.faults.push(text)
  }

  figure(what, number) {
    (this.figures[what] ??= []).push(number)
  }

  // Everything that comes and goes in a browser context that may only know one site.
  async watch(context, site) {
    context.on('request', (request) => {
      if (new URL(request.url()).origin !== site) this.fault(`a request left the console: ${request.url()}`)
    })
    context.on('response', (response) => this.#answer(response).catch((error) => this.fault(`an answer can not be looked at: ${error}`)))
    context.on('dialog', (dialog) => {
      this.fault(`a dialog opened: ${dialog.message()}`)
      dialog.dismiss()
    })
    context.on('weberror', (error) => this.fault(`a script failed: ${error.error()}`))
    context.on('console', (message) => {
      // That an answer was no success is told of the answer itself.
      // A part that is renewed by itself is not let out of the console when the session is over.
      const ended = /net::ERR_FAILED/.test(message.text()) && /\/(matrix|part)$/.test(message.location().url)
      const known = ended || /Failed to load resource: the server responded with a status of/.test(message.text())
      if (message.type() === 'error' && !known) this.fault(`on a page: ${message.text()}`)
    })
  }

  async #answer(response) {
    const url = new URL(response.url())
    const at = `${response.request().method()} ${pattern(url.pathname)} (${response.status()})`
    this.answers += 1
    const headers = await response.headersArray()
    const header = (name) => headers.filter((one) => one.name.toLowerCase() === name).map((one) => one.value)
    const one = (name) => header(name).join(', ')
    const wants = (so, what) => {
      if (!so) this.fault(`${at}: ${what}`)
    }
    const policy = Object.fromEntries(one('content-security-policy').split(';').map((part) => {
      const [name, ...sources] = part.trim().split(/\s+/)
      return [name, sources.join(' ')]
    }))
    wants(policy['default-src'] === "'none'", 'the policy does not begin with nothing')
    wants(!/unsafe|data:|blob:|\*|http/.test(one('content-security-policy')), 'the policy lets something in')
    wants(policy['frame-ancestors'] === "'none'", 'it may be framed')
    wants(policy['base-uri'] === "'none'" && policy['form-action'] === "'self'", 'forms may go elsewhere')
    wants(one('x-content-type-options') === 'nosniff', 'its type may be guessed')
    wants(one('x-frame-options') === 'DENY', 'it may be framed by old browsers')
    wants(one('referrer-policy') === 'no-referrer', 'addresses are told to others')
    wants(/^max-age=\d{8}/.test(one('strict-transport-security')), 'TLS is not asked for')
    wants(/microphone=\(\)/.test(one('permissions-policy')), 'features are not turned off')
    wants(one('cross-origin-opener-policy') === 'same-origin', 'others share its window')
    wants(one('cross-origin-resource-policy') === 'same-origin', 'others may load it')
    wants(!one('access-control-allow-origin'), 'others may read it')
    wants(!one('server') && !one('x-powered-by'), 'it tells what serves it')
    const isAsset = url.pathname.startsWith('/assets/')
    const type = one('content-type')
    // A stream says only that something has changed.
    const isStream = type.startsWith('text/event-stream') && one('cache-control') === 'no-cache'
    wants(isAsset || isStream || one('cache-control').includes('no-store'), 'it may be kept')
    const isSaved = one('content-disposition').startsWith('attachment')
    wants(isSaved || response.status() >= 300 && response.status() < 400 || /^(text\/html; ?charset=utf-8|text\/css|text\/javascript|image\/svg\+xml|text\/event-stream)/.test(type), `its type is ${type}`)
    wants(response.status() !== 500, 'something failed')
    const told = [...url.searchParams].find(([name, value]) => !KNOWN_IN_ADDRESSES.has(name) || !/^[\w./ :-]*$/.test(value))
    wants(!told, `there is something in its address: ${told?.[0]}`)
    for (const cookie of headers.filter((one) => one.name.toLowerCase() === 'set-cookie')) {
      for (const line of cookie.value.split('\n')) {
        wants(/^__Host-/.test(line) && /; Secure/.test(line) && /; HttpOnly/.test(line) && /; SameSite=Strict/.test(line) && /; Path=\//.test(line) && !/; Domain/i.test(line), `a cookie is set badly: ${line.split('=')[0]}`)
      }
    }
  }

  // A page in the state in which it is now. What costs time is looked at once for each kind of page and state.
  async look(page, { axe }) {
    const path = pattern(new URL(page.url()).pathname)
    const facts = await page.evaluate(() => ({
      // A heading that is somebody's name tells nothing of the kind of page.
    heading: document.querySelector('h1:not(.app-text)')?.textContent.trim().replaceAll(/\S*\d\S*/g, '…') ?? '…',
      forms: document.querySelectorAll('main form').length > 0,
      wrong: Boolean(document.querySelector('.govuk-error-summary')),
      notice: Boolean(document.querySelector('.govuk-notification-banner')),
      details: document.querySelectorAll('main details').length > 0,
      empty: document.querySelectorAll('main table').length === 0,
    }))
    const state = [path, facts.heading, ...['forms', 'wrong', 'notice', 'details', 'empty'].filter((name) => facts[name])].join(' ')
    const width = page.viewportSize().width
    for (const fault of await page.evaluate(LOOK, MARKERS)) this.fault(`${state} at ${width} px: ${fault}`)
    if (!axe || this.states.has(state)) return
    this.states.add(state)
    await this.#axe(page, state)
    if (facts.details) {
      const closed = await page.$$('main details:not([open])')
      for (const one of closed) await one.evaluate((element) => element.setAttribute('open', ''))
      await this.#axe(page, `${state}, opened`)
      for (const fault of await page.evaluate(LOOK, MARKERS)) this.fault(`${state}, opened, at ${width} px: ${fault}`)
      for (const one of closed) await one.evaluate((element) => element.removeAttribute('open')).catch(() => {})
    }
  }

  async #axe(page, state) {
    await page.evaluate(axeSource)
    const found = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }), AXE_TAGS)
    for (const violation of found.violations) {
      const node = violation.nodes[0]
      this.fault(`${state}: ${violation.id}, ${violation.help}: ${node.html.slice(0, 200)} (${node.failureSummary?.split('\n')[1]?.trim()})`)
    }
  }
}
