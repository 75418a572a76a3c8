// What must be so on every page, in every state, and of every answer, whatever anybody does there. Whoever drives the pages
// does not look for any of it; it is found here, and told at the end.
import { readFileSync } from 'node:fs'

import { axeSource } from './modules.mjs'

const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

// A path without what differs from one enquiry, person or release to the next.
export const pattern = (path) =>
  path
    .split('?')[0]
    .split('/')
    .map((part) => (/^(?=.*\d)[\w.-]{6,}$|^[0-9a-f-]{16,}$|^\d+$/i.test(part) ? '…' : /^[A-Z]{3}$/.test(part) ? '…' : part))
    .join('/')

// The cells of a table as RFC 4180 writes them.
export const cells = (csv) =>
  Array.from(csv.matchAll(/(?:^|,|\r?\n)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g), ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain)

// A header of answers that a test gives in the place of the console.
export const OF_THE_TEST = 'x-of-the-test'

// What hostile text would leave behind if it could: see hostile.toml.
const MARKERS = ['executed', 'ran']

const RUN = (markers) => {
  const faults = []
  for (const marker of markers) {
    // An element with this id would stand under this name, too.
    if (typeof window[marker] === 'number') faults.push('hostile text was executed')
    if (document.querySelector(`[id="${marker}"], [name="${marker}"]`)) faults.push('hostile text became markup')
  }
  return faults
}

const LOOK = () => {
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
  // What is shown as it stands in the log is for programs.
  const texts = Array.from(document.querySelectorAll('main'), (main) => main.cloneNode(true))
  for (const text of texts) text.querySelectorAll('pre, code').forEach((part) => part.remove())
  const written = texts.map((text) => text.textContent.match(/\d{4}-\d\d-\d\dT\d\d:\d\d\S*/)).find(Boolean)
  if (written) faults.push(`a time stands there as programs write it: ${written[0].slice(0, 40)}`)
  const ids = Array.from(document.querySelectorAll('[id]'), (element) => element.id)
  const twice = ids.filter((id, n) => ids.indexOf(id) !== n)
  if (twice.length) faults.push(`ids stand twice: ${twice.slice(0, 3)}`)
  return faults
}

// What a printed page may not have: what is for a screen alone, and parts that go over the edge of the paper.
const PRINTED = () => {
  const faults = []
  const root = document.scrollingElement
  if (root.scrollWidth > root.clientWidth) faults.push(`what is printed is ${root.scrollWidth} px wide on paper of ${root.clientWidth}`)
  for (const name of ['nav', '.govuk-back-link', '.govuk-skip-link', '.app-no-print']) {
    const shown = Array.from(document.querySelectorAll(name)).find((element) => element.getClientRects().length > 0)
    if (shown) faults.push(`${name} is printed: ${shown.outerHTML.slice(0, 120)}`)
  }
  for (const part of document.querySelectorAll('main [role=region], main table, main pre, main svg')) {
    if (part.scrollWidth > part.clientWidth + 1 || part.getBoundingClientRect().right > root.clientWidth + 1) {
      faults.push(`the paper cuts off ${part.outerHTML.slice(0, 160)}`)
    }
  }
  return faults
}

// Addresses hold references and places in lists, never anything of people.
const KNOWN_IN_ADDRESSES = new Set(['next', 'person', 'agency', 'action', 'holder', 'from', 'to', 'page', 'after', 'before', 'kind', 'party', 'enquiry', 'figure', 'show'])

// What an organisation's own sign-in service answers with, by way of the browser.
const KNOWN_OF_A_SERVICE = new Set(['code', 'state', 'iss', 'error', 'error_description'])

export class Observer {
  faults = []
  states = new Set()
  answers = 0
  figures = {}
  downloads = []
  // Every address of a console that gave an answer, and of those that are pages, how each was looked at.
  answered = { hub: new Set(), node: new Set() }
  pages = { hub: new Map(), node: new Map() }
  #kinds = new Map()
  #documents = new WeakMap()
  #looking = []

  fault(text) {
    if (!this.faults.includes(text)) this.faults.push(text)
  }

  figure(what, number) {
    (this.figures[what] ??= []).push(number)
  }

  // Everything that comes and goes in a browser context that may only know one site, of a kind of program; and `elsewhere`, where
  // people are sent to sign in.
  async watch(context, { site, of = 'node', way = 'pointer', elsewhere = null }) {
    context.on('request', (request) => {
      const { origin } = new URL(request.url())
      if (origin !== site && origin !== elsewhere) this.fault(`a request left the console: ${request.url()}`)
    })
    context.on('response', (response) => {
      if (new URL(response.url()).origin !== site || response.headers()[OF_THE_TEST]) return
      this.#went(response, of, way)
      this.#answer(response).catch((error) => this.fault(`an answer can not be looked at: ${error}`))
    })
    context.on('page', (page) => page.on('download', (download) => this.#looking.push(this.#saved(download))))
    context.on('dialog', (dialog) => {
      this.fault(`a dialog opened: ${dialog.message()}`)
      dialog.dismiss()
    })
    context.on('weberror', (error) => this.fault(`a script failed: ${error.error()}`))
    context.on('console', (message) => {
      // That an answer was no success is told of the answer itself.
      // A part that is renewed by itself is not let out of the console when the session is over.
      const ended = /net::ERR_FAILED/.test(message.text()) && /\/(matrix|part)$/.test(message.location().url)
      const over = /^EventSource's response has a MIME type \("text\/html"\)/.test(message.text())
      const known = ended || over || /Failed to load resource: the server responded with a status of/.test(message.text())
      if (message.type() === 'error' && !known) this.fault(`on a page: ${message.text()}`)
    })
  }

  // Which address this was, and whether it was a page.
  #went(response, of, way) {
    const request = response.request()
    const { pathname } = new URL(response.url())
    const isDocument = request.isNavigationRequest() && request.frame().parentFrame() === null
    const is = (name, value) => (response.headers()[name] ?? '').startsWith(value)
    const isPage = isDocument && request.method() === 'GET' && response.status() === 200
      && is('content-type', 'text/html') && !is('content-disposition', 'attachment')
    if (isDocument) this.#documents.set(request.frame().page(), isPage ? { of, pathname } : null)
    if (request.method() === 'GET' && response.status() < 400) this.answered[of].add(pathname)
    if (!isPage) return
    if (!this.pages[of].has(pathname)) this.pages[of].set(pathname, new Set())
    this.pages[of].get(pathname).add(way)
    const kind = `${of} ${pattern(pathname)}`
    if (!this.#kinds.has(kind)) this.#kinds.set(kind, new Set())
    this.#kinds.get(kind).add(way)
  }

  // The ways in which a page of this kind has not been looked at, of these; none where it is what came of a form.
  waysLeft(page, ways) {
    const at = this.#documents.get(page)
    if (!at) return []
    const done = this.#kinds.get(`${at.of} ${pattern(at.pathname)}`)
    return ways.filter((way) => !done.has(way))
  }

  // A file that was taken away: no cell of a table begins as a formula does, and no page brings a script or runs one.
  async #saved(download) {
    const name = download.suggestedFilename()
    try {
      const text = readFileSync(await download.path(), 'utf8')
      this.downloads.push({ name, text })
      if (name.endsWith('.csv')) {
        const bad = cells(text).find((cell) => /^\s*[=+\-@\t\r＝＋－＠]/.test(cell))
        if (bad !== undefined) this.fault(`${name}: a cell begins as a formula does: ${bad.slice(0, 80)}`)
      } else if (name.endsWith('.json')) {
        JSON.parse(text)
      } else if (name.endsWith('.html')) {
        await this.#opened(name, text, download.page().context().browser())
      }
    } catch (error) {
      this.fault(`${name} can not be looked at: ${error}`)
    }
  }

  // A page that was taken away is opened in a browser that lets everything run.
  async #opened(name, text, browser) {
    const context = await browser.newContext()
    context.on('request', (request) => {
      if (!request.url().startsWith('about:')) this.fault(`${name}: it asks for ${request.url().slice(0, 80)}`)
    })
    const page = await context.newPage()
    await page.setContent(text, { waitUntil: 'load' })
    for (const fault of await page.evaluate(RUN, MARKERS)) this.fault(`${name}: ${fault}`)
    await context.close()
  }

  // Until everything has been looked at that was taken away.
  async settled() {
    await Promise.all(this.#looking)
  }

  // How a page would be on paper: A4 between its margins. It is left as it was printed.
  async printed(page) {
    const at = pattern(new URL(page.url()).pathname)
    await page.emulateMedia({ media: 'print' })
    for (const fault of await page.evaluate(PRINTED)) this.fault(`${at} on paper: ${fault}`)
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
    const isKnown = (name) => KNOWN_IN_ADDRESSES.has(name) || (url.pathname === '/sign-in/service/callback' && KNOWN_OF_A_SERVICE.has(name))
    const told = [...url.searchParams].find(([name, value]) => !isKnown(name) || !/^[\w./ :-]*$/.test(value))
    wants(!told, `there is something in its address: ${told?.[0]}`)
    for (const cookie of headers.filter((one) => one.name.toLowerCase() === 'set-cookie')) {
      for (const line of cookie.value.split('\n')) {
        // Whoever comes back from a sign-in service comes from another site; what they left with goes back with them.
        const site = line.startsWith('__Host-sign-in=') ? 'Lax' : 'Strict'
        wants(/^__Host-/.test(line) && /; Secure/.test(line) && /; HttpOnly/.test(line) && line.includes(`; SameSite=${site}`) && /; Path=\//.test(line) && !/; Domain/i.test(line), `a cookie is set badly: ${line.split('=')[0]}`)
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
    await this.#faults(page, `${state} at ${width} px`)
    const known = width < 400 ? `${state}, narrow` : state
    if (!axe || this.states.has(known)) return
    this.states.add(known)
    await this.#axe(page, known)
    if (facts.details) {
      const closed = await page.$$('main details:not([open])')
      for (const one of closed) await one.evaluate((element) => element.setAttribute('open', ''))
      await this.#axe(page, `${known}, opened`)
      await this.#faults(page, `${state}, opened, at ${width} px`)
      for (const one of closed) await one.evaluate((element) => element.removeAttribute('open')).catch(() => {})
    }
  }

  async #faults(page, state) {
    const found = [...(await page.evaluate(LOOK)), ...(await page.evaluate(RUN, MARKERS))]
    for (const fault of found) this.fault(`${state}: ${fault}`)
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
