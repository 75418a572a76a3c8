// Signing in with an organisation's own service, as far as pages of ours are seen on the way there and back.
import { OF_THE_TEST } from './observer.mjs'

// The page from which one is sent there.
const leave = async ({ desk, way }) => {
  const visit = await desk.at(way)
  await visit.context.clearCookies()
  await visit.page.goto('/sign-in?next=/thing')
  await visit.look()
}

// There and back as `login`, or as somebody who changes their mind; the page to which it leads is looked at.
const thereAndBack = async (visit, { login, elsewhere }) => {
  const { page, context, hand } = visit
  await context.clearCookies()
  await page.goto('/sign-in?next=/thing')
  await Promise.all([page.waitForURL((url) => url.origin === elsewhere), hand.press(page.locator('#sign-in-service'))])
  // It is not our page, so that it is not for us how it is worked.
  await page.evaluate((login) => {
    const form = document.querySelector('form')
    form.noValidate = true
    form.login.value = login
  }, login)
  await Promise.all([page.waitForURL((url) => url.pathname === '/sign-in/service/callback'), page.locator('button').click()])
  await page.waitForLoadState('load')
  await visit.look()
}

// Signs in with the service.
const signIn = async ({ desk, way }, { login, elsewhere }) => {
  const visit = await desk.at(way)
  const { page, context, hand } = visit
  // What follows by itself is nothing here, so that the page before it stays.
  await context.route((url) => url.pathname === '/thing', (route) => route.fulfill({ status: 204, headers: { [OF_THE_TEST]: way } }))
  await thereAndBack(visit, { login, elsewhere })
  const refusal = await visit.refusal()
  if (refusal) throw new Error(`${way}: ${refusal.words}`)
  const goesOn = (request) => new URL(request.url()).pathname === '/thing'
  await Promise.all([page.waitForRequest(goesOn), hand.press(page.locator('#go-on'))])
}

// Those who are not let in: who is not on the staff, or changes their mind.
const refused = async ({ desk, way, observer }, { login, elsewhere }) => {
  const visit = await desk.at(way)
  await thereAndBack(visit, { login, elsewhere })
  if (!(await visit.refusal())) observer.fault(`${way}: ${login || 'nobody'} is let in`)
}

export const acts = { 'leave for a service': leave, 'sign in with a service': signIn, 'be refused by a service': refused }
