// Those who act: each with a browser of their own, an account, and a session as long as it lasts.
import { codeOf, stepOf } from './codes.mjs'
import { Keyboard, Pointer } from './hands.mjs'

// How a page is worked, and on what screen. 1280 by 1024 at 400 % leaves 320 by 256.
export const WAYS = {
  pointer: { viewport: { width: 1280, height: 900 } },
  'no script': { viewport: { width: 1280, height: 900 }, javaScriptEnabled: false },
  keyboard: { viewport: { width: 1280, height: 900 } },
  'narrow screen': { viewport: { width: 320, height: 640 } },
  'zoom of 400 %': { viewport: { width: 320, height: 256 } },
}

// A4 between the margins of the style: 180 mm at 96 px to the inch. Nobody works a page like that; what is for paper is looked at.
const PAPER = 'paper'
const SCREENS = { ...WAYS, [PAPER]: { viewport: { width: 680, height: 960 } } }

// Those who print what they look at.
const PRINTS = /^hub\.(auditor|governance)/

// How long a page may take, on a loaded machine.
const WITHIN = 60_000

export class Desk {
  #browser
  #observer
  #cookies = []
  #contexts = new Map()
  #password
  #key = null
  #lastStep = 0

  // `of` says of which program the site is, `elsewhere` where one may be sent to sign in.
  constructor({ browser, observer, who, site, of, elsewhere }) {
    this.#browser = browser
    this.#observer = observer
    this.who = who
    this.site = site
    this.of = of
    this.elsewhere = elsewhere
    this.now = 0
    this.#password = `three or four words of ${who}`
  }

  // Goes to a page, in a way; whoever is not signed in any more signs in again, in the same way.
  async go(path, way = 'pointer') {
    const visit = await this.#visit(way)
    await visit.go(path)
    return visit
  }

  // The page where somebody is, in a way.
  async #visit(way) {
    let known = this.#contexts.get(way)
    if (!known) {
      const context = await this.#browser.newContext({ ...SCREENS[way], ignoreHTTPSErrors: true, locale: 'en-GB', baseURL: this.site })
      context.setDefaultTimeout(WITHIN)
      await this.#observer.watch(context, { site: this.site, of: this.of, elsewhere: this.elsewhere, way })
      known = { context, page: await context.newPage() }
      this.#contexts.set(way, known)
    }
    await known.context.clearCookies()
    await known.context.addCookies(this.#cookies)
    return new Visit(this, known, way, this.#observer)
  }

  // Somebody at whatever page they are, in a way.
  at(way) {
    return this.#visit(way)
  }

  // The page that somebody has before them, as it is in all the other ways in which one of its kind was not looked at yet. The
  // page itself stays as it is.
  async lookInEveryWay(page) {
    const ways = Object.keys(SCREENS).filter((way) => way !== PAPER || PRINTS.test(this.who))
    for (const way of this.#observer.waysLeft(page, ways)) {
      const { page: other } = await this.#visit(way)
      await other.goto(page.url())
      if (way === PAPER) await this.#observer.printed(other)
      else await this.#observer.look(other, { axe: way === 'narrow screen' })
    }
    this.last = page
  }

  async keep(context) {
    this.#cookies = await context.cookies()
  }

  // Sets up the account that somebody has been invited to.
  async setUp(invitation) {
    const visit = await this.#visit('pointer')
    const { page, hand } = visit
    await page.goto('/sign-in/set-up')
    await visit.look()
    await hand.fill(page.getByLabel('Name', { exact: true }), this.who)
    await hand.fill(page.getByLabel('Code of the invitation'), invitation)
    await visit.press('Continue')
    this.#key = await page.locator('main code').first().textContent()
    await hand.fill(page.getByLabel('Code that the app now shows'), this.#code())
    await hand.fill(page.getByLabel('Password', { exact: true }), this.#password)
    await hand.fill(page.getByLabel('The same password again'), this.#password)
    await visit.press('Set up and sign in')
    if (new URL(page.url()).pathname.startsWith('/sign-in')) throw new Error(`${this.who} is not let in: ${await visit.errors()}`)
    await this.keep(visit.context)
  }

  async signIn(visit) {
    const { page, hand } = visit
    await hand.fill(page.getByLabel('Name', { exact: true }), this.who)
    await hand.fill(page.getByLabel('Password', { exact: true }), this.#password)
    await hand.fill(page.getByLabel('Code of your authenticator app'), this.#code())
    await visit.press('Sign in')
    if (new URL(page.url()).pathname.startsWith('/sign-in')) throw new Error(`${this.who} is not let in: ${await visit.errors()}`)
    await this.keep(visit.context)
  }

  // Each code is good once, and a moment before and after its time.
  #code() {
    const step = Math.max(stepOf(this.now), this.#lastStep + 1)
    if (step > stepOf(this.now) + 1) throw new Error(`${this.who} has used up the codes of this time`)
    this.#lastStep = step
    return codeOf(this.#key, step)
  }

  get hasAccount() {
    return this.#key !== null
  }

  // Without a session from here on.
  async forget() {
    this.#cookies = []
  }

  async close() {
    for (const { context } of this.#contexts.values()) await context.close()
    this.#contexts.clear()
  }

  screenshot(file) {
    const last = this.last
    return last?.screenshot({ path: file, fullPage: true })
  }
}

// Somebody at a page.
export class Visit {
  constructor(desk, { context, page }, way, observer) {
    this.desk = desk
    this.context = context
    this.page = page
    this.way = way
    this.observer = observer
    this.hand = way === 'keyboard' ? new Keyboard(page, (text) => observer.fault(`${new URL(page.url()).pathname}: ${text}`)) : new Pointer(page)
    desk.last = page
  }

  async look() {
    await this.observer.look(this.page, { axe: this.way === 'pointer' })
    if (this.way === 'pointer') await this.desk.lookInEveryWay(this.page)
  }

  async #settled() {
    await this.page.waitForLoadState('load')
    await this.look()
  }

  // To an address of this console.
  async go(path) {
    await this.page.goto(path)
    await this.#settled()
    if (new URL(this.page.url()).pathname === '/sign-in') {
      await this.desk.signIn(this)
      const now = new URL(this.page.url()).pathname
      if (path !== '/' && now !== new URL(path, this.desk.site).pathname) {
        await this.page.goto(path)
        await this.#settled()
      }
    }
  }

  // By what leads to another page: a button or a link of this text, or a locator.
  async press(what) {
    const locator = typeof what === 'string' || what instanceof RegExp ? this.button(what) : what
    const [answer] = await Promise.all([this.page.waitForNavigation({ waitUntil: 'load' }), this.hand.press(locator)])
    await this.look()
    return answer
  }

  async follow(what) {
    return this.press(typeof what === 'string' || what instanceof RegExp ? this.page.getByRole('link', { name: what, exact: typeof what === 'string' }).first() : what)
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: typeof name === 'string' })
  }

  // A group of fields by its legend.
  group(legend) {
    return this.page.getByRole('group', { name: legend })
  }

  // What a page says is wrong: its texts, and the code of the reason if it names one.
  async refusal() {
    const { page } = this
    const summary = page.locator('.govuk-error-summary')
    const heading = (await page.locator('h1').first().textContent())?.trim()
    const problems = ['Page not found', 'You have been signed out', 'You can not do this', 'This form is out of date', 'This is too long', 'This was refused', 'This can not be done now', 'Something went wrong']
    const wrong = (await summary.count()) > 0
    if (!wrong && !problems.includes(heading)) return null
    const words = wrong ? await summary.innerText() : `${heading}: ${await page.locator('main').innerText()}`
    const marked = page.locator('[data-code]')
    const code = (await marked.count()) > 0 ? await marked.first().getAttribute('data-code') : words.match(/\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b/)?.[0]
    return { code: code ?? '', words }
  }

  // That what was asked for was done; else why not, as an error that says so.
  async done() {
    const refusal = await this.refusal()
    if (refusal) throw Object.assign(new Error(refusal.words), { refusal })
    const notice = this.page.locator('.govuk-notification-banner__heading')
    return (await notice.count()) > 0 ? (await notice.first().innerText()).trim() : ''
  }

  async errors() {
    return this.page.locator('main').innerText()
  }
}
