// What information governance does at the hub's console.

const field = (visit, name) => visit.page.locator(`main [name="${name}"]:not([type=hidden])`).first()

// Looks at an enquiry afterwards: a search, one exchange, a check of the log, an alert, a report.
const review = async ({ go, observer }, { enquiry, month }) => {
  const visit = await go('/log')
  const { page, hand } = visit
  await hand.fill(field(visit, 'enquiry'), enquiry)
  await visit.press('Search')
  await visit.done()
  const entries = await page.locator('main table tbody tr').count()
  const exchange = page.locator('main a[href^="/log/exchanges/"]').first()
  await visit.follow(exchange)
  const at = new URL(page.url()).pathname
  const sides = await page.locator('main table').count()
  await visit.follow(page.locator('main a[href^="/log/entries/"]:not([href$="/proof"]):not([href$="/json"])').first())

  await visit.go('/checks')
  await visit.press('Check every entry')
  await visit.done()
  if (visit.way === 'no script') throw new Error('a check is followed with a script')
  await page.waitForFunction(() => !document.getElementById('stop') && document.querySelector('main .govuk-tag'))
  await visit.look()
  const verdict = await page.locator('main .govuk-tag').first().innerText()

  await visit.go('/alerts')
  const alerts = await page.locator('main tbody tr').count()
  await visit.follow(page.locator('main tbody a').first())
  await visit.press('Say that it is handled')
  if (!(await visit.refusal())) observer.fault('an alert is handled without a word')
  await hand.fill(field(visit, 'note'), 'Asked by mistake; the co-ordinator was spoken to.')
  await visit.press('Say that it is handled')
  await visit.done()
  const left = await page.locator('main tbody tr').count()

  await visit.go('/reports')
  await hand.fill(field(visit, 'month'), month)
  await visit.press('Make the report')
  await visit.done()
  const figures = await page.locator('.app-report table, .app-report li').count()
  return { entries, exchange: at, sides, verdict, alerts, handled: alerts - left, figures }
}

export const acts = { 'review an enquiry': review }
