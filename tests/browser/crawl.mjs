// Pages that are looked at for their own sake: all that somebody can reach by links, and those that say what is wrong.
import { pattern } from './observer.mjs'

// At most so many pages of one kind: lists lead to many that are alike.
const OF_A_KIND = 6

const LINKS = () => Array.from(document.querySelectorAll('a[href]'), (link) => link.href).filter((href) => !href.includes('#'))

// Follows every link from a page on, or those to addresses that begin with `below`. Gives how many pages there were, and of how many
// kinds.
const crawl = async ({ desk, way, observer, go }, { from = '/', below = '/' }) => {
  const kinds = new Map()
  const waiting = [from]
  const seen = new Set(waiting)
  let pages = 0
  while (waiting.length) {
    const path = waiting.shift()
    const kind = pattern(path)
    if ((kinds.get(kind) ?? 0) >= OF_A_KIND) continue
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    const visit = await go(path).catch((error) => {
      // What is saved and not shown; its answer was looked at all the same.
      if (/Download is starting|ERR_ABORTED/.test(error.message)) return null
      throw error
    })
    pages += 1
    if (!visit) continue
    const refusal = await visit.refusal()
    if (refusal) observer.fault(`a link of ${desk.who} leads to what is refused: ${kind}: ${refusal.words.slice(0, 200)}`)
    for (const href of await visit.page.evaluate(LINKS)) {
      const url = new URL(href)
      const next = url.pathname + url.search
      if (url.origin !== desk.site || seen.has(next) || !next.startsWith(below)) continue
      seen.add(next)
      waiting.push(next)
    }
  }
  return { pages, kinds: [...kinds.keys()].sort(), way }
}

// What is wrong, as it is told: no such page, a wrong code, a form that was forged, a session that is over.
const wrongs = async ({ desk, go, observer }) => {
  const visit = await go('/')
  const { page, hand } = visit
  const expect = (so, what) => {
    if (!so) observer.fault(what)
  }
  const nothing = await page.goto('/no-such-page')
  await visit.look()
  expect(nothing.status() === 404, `a page that is not there: ${nothing.status()}`)

  // A form of ours with the secret of another session.
  await page.goto('/')
  await page.locator('form[action="/sign-out"] input[name=csrf]').evaluate((field) => {
    field.value = 'forged'
  })
  const forged = await visit.press('Sign out')
  expect(forged.status() === 403, `a forged form: ${forged.status()}`)
  await page.goto('/')
  expect((await page.getByRole('button', { name: 'Sign out' }).count()) === 1, 'a forged form signed somebody out')

  // Wrong at the door: nobody learns what was wrong.
  await visit.context.clearCookies()
  await page.goto('/sign-in')
  await hand.fill(page.getByLabel('Name', { exact: true }), 'nobody.at.all')
  await hand.fill(page.getByLabel('Password', { exact: true }), 'not the password')
  await hand.fill(page.getByLabel('Code of your authenticator app'), '000000')
  const refused = await visit.press('Sign in')
  expect(refused.status() === 422, `a wrong password: ${refused.status()}`)
  await page.goto('/sign-in/set-up')
  await hand.fill(page.getByLabel('Name', { exact: true }), 'nobody.at.all')
  await hand.fill(page.getByLabel('Code of the invitation'), 'not-invited')
  const uninvited = await visit.press('Continue')
  expect(uninvited.status() === 422, `no invitation: ${uninvited.status()}`)

  // Whoever has not signed in sees nothing, and comes back to where they wanted to be.
  await page.goto(desk.site.includes('hub') ? '/enquiries' : '/worklist')
  expect(new URL(page.url()).pathname === '/sign-in', 'a page is shown to nobody')
  const back = await go('/')
  await back.press('Sign out')
  expect(new URL(page.url()).pathname === '/sign-in', 'signing out leads elsewhere')
  await desk.forget()
}

export const acts = { crawl, 'look at what is wrong': wrongs }
