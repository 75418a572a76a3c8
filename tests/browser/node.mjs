// What assessors and approvers do at their node's console. Fields are found by the names under which they are sent.

const field = (visit, name) => visit.page.locator(`main [name="${name}"]:not([type=hidden])`).first()
const choice = (visit, name, value) => visit.page.locator(`main [name="${name}"][value="${value}"]`)

// A time as it is written into a field: of the clock on the wall.
export const written = (unixMs) => {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/London', dateStyle: 'short', timeStyle: 'short' }).formatToParts(unixMs)
  const of = (type) => parts.find((part) => part.type === type).value
  return `${of('year')}-${of('month')}-${of('day')} ${of('hour')}:${of('minute')}`
}

const person = ({ enquiry, person }) => `/people/${enquiry}/${person}`

const rate = async ({ go, observer, way, colleague }, what) => {
  const watching = way === 'pointer' ? await watch(colleague, what) : null
  const visit = await go(person(what))
  const { hand } = visit
  await hand.tick(choice(visit, 'colour', what.colour))
  await hand.fill(field(visit, 'analysis'), what.analysis)
  for (const topic of what.topics) await hand.tick(choice(visit, 'topic', topic))
  if (what.via) await hand.tick(choice(visit, 'via', what.via))
  const began = Date.now()
  await visit.press('Sign and send this rating')
  const answered = Date.now()
  await visit.done()
  if (!watching) return
  const shown = await watching()
  observer.figure('ms from sending a rating until it stood in a matrix open elsewhere', shown - began)
  observer.figure('ms from the page after a rating until it stood in a matrix open elsewhere', shown - answered)
}

// The co-ordinator has the matrix before them; gives the moment at which what is going to be said stands there.
const watch = async (colleague, { hub_site, enquiry, analysis }) => {
  const coordinator = colleague('hub.coordinator', hub_site)
  if (!coordinator?.hasAccount) return null
  const { page } = await coordinator.go(`/enquiries/${enquiry}`)
  // The stream has begun once it has said so.
  await page.waitForFunction(() => document.getElementById(document.querySelector('[data-live]').dataset.liveStatus).textContent.includes('shows changes'))
  await page.evaluate((said) => {
    const live = document.querySelector('[data-live]')
    const times = () => live.textContent.split(said).length
    const before = times()
    window.shown = new Promise((resolve) => {
      new MutationObserver(() => {
        if (times() > before) resolve(Date.now())
      }).observe(live, { childList: true, subtree: true })
    })
  }, analysis)
  return () => page.evaluate(() => window.shown)
}

const confirmLink = async ({ go }, what) => {
  const visit = await go(`/people/${what.enquiry}/${what.from}`)
  await visit.follow('Confirm a link')
  await visit.hand.tick(choice(visit, 'kind', what.kind))
  await visit.hand.tick(choice(visit, 'other', what.to))
  await visit.press('Sign and send')
  await visit.done()
}

const stateThreshold = async ({ go }, what) => {
  const visit = await go(`/people/${what.enquiry}/${what.people[0]}`)
  const { hand } = visit
  await visit.follow('State that a threshold is met')
  for (const one of what.people) await hand.tick(choice(visit, 'people', one))
  if (what.dash_ticks) await hand.fill(field(visit, 'dash_ticks'), String(what.dash_ticks))
  if (what.professional_judgement) await hand.tick(choice(visit, 'ground', 'judgement'))
  if (what.repeat) await hand.tick(choice(visit, 'ground', 'repeat'))
  if (what.reports) await hand.fill(field(visit, 'reports'), String(what.reports))
  if (what.meeting_at) await hand.fill(field(visit, 'meeting'), written(what.meeting_at))
  await visit.press('Sign and send')
  await visit.done()
}

const acceptAction = async ({ go }, what) => {
  const visit = await go(person(what))
  await visit.follow('Accept an action of the plan')
  await visit.hand.fill(field(visit, 'action'), what.action)
  await visit.press('Sign and send')
  await visit.done()
}

const recordConsent = async ({ go }, what) => {
  const visit = await go(person(what))
  const { hand } = visit
  await visit.follow('What this person said about sharing')
  await visit.follow('Record that they agreed or refused')
  await hand.tick(choice(visit, 'answer', what.agreed ? 'agreed' : 'refused'))
  for (const category of what.categories) await hand.tick(choice(visit, 'category', category))
  for (const recipient of what.recipients) await hand.tick(choice(visit, 'recipient', recipient))
  if (what.expires_at) await hand.fill(field(visit, 'expires'), written(what.expires_at))
  await hand.tick(choice(visit, 'asked', what.not_asked_because ? 'nobody' : 'me'))
  if (what.not_asked_because) await hand.fill(field(visit, 'not_asked_because'), what.not_asked_because)
  await visit.press('Sign and record')
  await visit.done()
}

const withdrawConsent = async ({ go }, what) => {
  const visit = await go(person(what))
  await visit.follow('What this person said about sharing')
  await visit.follow('Record that they take back what they agreed to')
  if (what.reason) await visit.hand.fill(field(visit, 'reason'), what.reason)
  await visit.press('Sign and record the withdrawal')
  await visit.done()
}

const acknowledge = async ({ go }, what) => {
  const visit = await go('/inbox')
  await visit.follow(visit.page.locator(`main a[href="/inbox/notices/${what.notice}"]`))
  await visit.press('I have deleted my notes and copies: acknowledge')
  await visit.done()
}

const approve = async ({ go }, what) => {
  const visit = await go('/worklist')
  await visit.follow(visit.page.locator(`main a[href="/worklist/approve/${what.work}"]`))
  if (what.redacted_text) {
    await visit.hand.fill(field(visit, 'text'), what.redacted_text)
    if (what.reason) await visit.hand.fill(field(visit, 'reason'), what.reason)
    await visit.press('See what would leave')
    await visit.press('Approve this redacted text')
  } else {
    await visit.press('Approve as it is held')
  }
  const notice = await visit.done()
  return { notice, needed: Number(notice.match(/\d+/)?.[0] ?? 0) }
}

const refuse = async ({ go }, what) => {
  const visit = await go('/worklist')
  await visit.follow(visit.page.locator(`main a[href="/worklist/approve/${what.work}"]`))
  await visit.hand.fill(field(visit, 'because'), what.reason)
  await visit.press('Refuse this release')
  await visit.done()
}

const openDetail = async ({ go }, what) => {
  const visit = await go('/inbox')
  const item = visit.page.locator(`main a[href="/inbox/${what.release}"]`)
  if ((await item.count()) === 0) return { offered: false }
  await visit.follow(item)
  await visit.hand.tick(field(visit, 'accept'))
  await visit.press('Open the detail')
  await visit.done()
  return { text: await visit.page.locator('#detail').textContent() }
}

export const acts = {
  rate,
  'confirm a link': confirmLink,
  'state a threshold': stateThreshold,
  'accept an action': acceptAction,
  'record consent': recordConsent,
  'withdraw consent': withdrawConsent,
  acknowledge,
  approve,
  refuse,
  'open detail': openDetail,
}
