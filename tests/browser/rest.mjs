// What nobody does in a scenario, so that its pages are worked as well: drafts, searches, reports, subject access, erasure,
// challenges, a meeting that is watched, paper.
import { writeFileSync } from 'node:fs'

import { acts as hub, fillPerson } from './hub.mjs'

const field = (visit, name) => visit.page.locator(`main [name="${name}"]:not([type=hidden])`).first()
const choice = (visit, name, value) => visit.page.locator(`main [name="${name}"][value="${value}"]`)

const here = (visit) => new URL(visit.page.url()).pathname

// A form that is sent empty is refused, and says why.
const refusedEmpty = async (visit, observer, button) => {
  await visit.press(button)
  if (!(await visit.refusal())) observer.fault(`a form that is empty is not refused: ${here(visit)}: ${button}`)
}

// Begins an enquiry with somebody, and leaves it as a draft.
const draft = async ({ go, observer }, what) => {
  const visit = await go('/enquiries/new')
  const { hand } = visit
  await visit.press('Start now')
  await refusedEmpty(visit, observer, 'Save and continue')
  await hand.tick(choice(visit, 'purpose', what.purpose))
  await hand.tick(choice(visit, 'domestic-abuse', 'no'))
  await hand.select(field(visit, 'agency'), what.agency)
  await hand.fill(field(visit, 'reference'), what.reference)
  await visit.press('Save and continue')
  await visit.done()
  await refusedEmpty(visit, observer, 'Save and continue')
  await fillPerson(visit, what.people[0])
  await visit.press('Save and continue')
  await visit.done()
}

// Has the view for meetings before them while a colleague records something: it is renewed by itself.
const meeting = async ({ desk, go }, { enquiry, agency, person }) => {
  const visit = await go(`/enquiries/${enquiry}/meeting-view`)
  const { page } = visit
  await page.waitForFunction(() => document.getElementById(document.querySelector('[data-live]').dataset.liveStatus).textContent.includes('shows changes'))
  const renewed = page.waitForResponse((answer) => answer.url().endsWith('/meeting-view/part'))
  const elsewhere = (path) => desk.go(path, 'narrow screen')
  await hub['name who leads']({ go: elsewhere }, { enquiry, agency, role: 'Social worker' })
  await renewed
  await visit.look()
  // No link leads there unless an agency may know somebody without being sure.
  await visit.go(`/enquiries/${enquiry}/identity-review?agency=${agency}&person=${person}`)
}

// Questions another agency's rating; the agency keeps to it.
const challenge = async ({ go, observer }, { enquiry, person, agency, reason }) => {
  const visit = await go(`/people/${enquiry}/${person}`)
  await visit.follow('Challenge another agency\'s rating')
  await refusedEmpty(visit, observer, 'Sign and send this challenge')
  await visit.hand.tick(choice(visit, 'agency', agency))
  await visit.hand.fill(field(visit, 'reason'), reason)
  await visit.press('Sign and send this challenge')
  await visit.done()
}

const answer = async ({ go, observer }, { enquiry, person, reason }) => {
  const visit = await go(`/people/${enquiry}/${person}`)
  const link = visit.page.getByRole('link', { name: 'Answer this challenge' })
  // It has been sent, and arrives in its own time.
  while ((await link.count()) === 0) await visit.go(`/people/${enquiry}/${person}`)
  await visit.follow(link.first())
  await refusedEmpty(visit, observer, 'Keep the rating and send this reason')
  await visit.hand.fill(field(visit, 'reason'), reason)
  await visit.press('Keep the rating and send this reason')
  await visit.done()
}

const fillIdentity = async (visit, person) => {
  for (const name of ['given', 'family', 'born', 'sex', 'nhs']) await visit.hand.fill(field(visit, name), person[name] ?? '')
}

// Searches the log by somebody, and keeps the question; gives where what was found is.
const searchByPerson = async ({ go, observer }, { person }) => {
  const visit = await go('/log/person')
  await refusedEmpty(visit, observer, 'Find entries about this person')
  await fillIdentity(visit, person)
  await visit.press('Find entries about this person')
  await visit.done()
  const found = here(visit)
  await visit.go(`${found}/below/20`)
  for (const list of ['open', 'all']) await visit.go(`/alerts/${list}/1`)
  await visit.go('/log')
  await visit.hand.select(field(visit, 'action'), 'release_decided')
  await visit.press('Search')
  await visit.done()
  await visit.hand.fill(field(visit, 'keep_as'), 'Releases')
  await visit.press('Save question')
  await visit.done()
  return { found }
}

// Makes every report there is; gives where they are.
const makeReports = async ({ go, observer }, { month }) => {
  const visit = await go('/reports')
  await refusedEmpty(visit, observer, 'Make the report')
  const kinds = await visit.page.locator('main [name=kind]').evaluateAll((all) => all.map((one) => one.value))
  const made = []
  for (const kind of kinds) {
    for (const form of ['full', 'shared']) {
      await visit.go('/reports')
      await visit.hand.tick(choice(visit, 'kind', kind))
      await visit.hand.fill(field(visit, 'month'), month)
      await visit.hand.tick(choice(visit, 'form', form))
      await visit.press('Make the report')
      await visit.done()
      made.push(here(visit))
    }
  }
  return { made }
}

// Begins the answer to a person who asks what is held about them; gives its number.
const beginAccess = async ({ go, observer }, { person, analyses_of }) => {
  const visit = await go('/access')
  await refusedEmpty(visit, observer, 'Begin, and show the draft')
  await fillIdentity(visit, person)
  await visit.hand.fill(field(visit, 'analyses_of'), analyses_of)
  await visit.press('Begin, and show the draft')
  await visit.done()
  const number = await visit.page.locator('main form').first().getAttribute('action')
  return { number: Number(number.split('/').at(-1)) }
}

const approveAccess = async ({ go, observer }, { person, number }) => {
  const visit = await go(`/access/${number}`)
  await refusedEmpty(visit, observer, 'Show the draft')
  await fillIdentity(visit, person)
  await visit.press('Show the draft')
  await visit.done()
  await fillIdentity(visit, person)
  await visit.press('Approve the draft above')
  return { notice: await visit.done() }
}

const issueAccess = async ({ go }, { person, number }) => {
  const visit = await go(`/access/${number}`)
  for (const form of ['Issue as a page', 'Issue as text', 'Issue as JSON']) {
    await fillIdentity(visit, person)
    const [download] = await Promise.all([visit.page.waitForEvent('download'), visit.hand.press(visit.button(form))])
    await download.path()
  }
}

// Holds an enquiry, lets it go, and asks that it be erased.
const askErasure = async ({ go, observer }, { enquiry, reason }) => {
  const visit = await go('/records')
  await refusedEmpty(visit, observer, 'Set a hold')
  for (const button of ['Set a hold', 'Ask that it be erased']) {
    await visit.hand.fill(field(visit, 'enquiry'), enquiry)
    await visit.hand.fill(field(visit, 'reason'), reason)
    await visit.press(button)
    await visit.done()
    if (button === 'Set a hold') {
      const held = await visit.page.locator('main tbody .app-text').first().textContent()
      if (held !== reason) observer.fault(`a reason is shown as something else: ${held}`)
      await visit.press(/^Lift the hold/)
      await visit.done()
    }
  }
}

const confirmErasure = async ({ go }) => {
  const visit = await go('/records')
  await visit.press(/^Erase for good/)
  return { notice: await visit.done() }
}

// Prints a page as a browser does; gives what the file tells of itself. `into`: where it is kept.
const print = async ({ go }, { address, into }) => {
  const visit = await go(address)
  const heading = (await visit.page.locator('h1').innerText()).trim()
  const paper = await visit.page.pdf({ preferCSSPageSize: true, outline: true, tagged: true })
  if (into) writeFileSync(into, paper)
  return { address: here(visit), heading, bytes: paper.length, paper: paper.toString('latin1').match(/^%PDF-\d\.\d/)?.[0], outline: outline(paper) }
}

// The texts in the outline of a PDF, which Chromium makes of the headings: `/Title (text)`, or in UTF-16 `/Title <FEFF…>`.
const outline = (paper) => {
  const said = paper.toString('latin1')
  const written = Array.from(said.matchAll(/\/Title \(((?:[^()\\]|\\.)*)\)/g), ([, text]) => text.replaceAll(/\\(.)/g, '$1'))
  const wide = Array.from(said.matchAll(/\/Title <FEFF([0-9A-F]*)>/gi), ([, hex]) => Buffer.from(hex, 'hex').swap16().toString('utf16le'))
  return [...written, ...wide]
}

// The texts that have to stand on a page exactly as they are.
const reads = async ({ go, observer }, { address, texts }) => {
  const visit = await go(address)
  const read = await visit.page.locator('main').evaluate((main) => main.textContent)
  for (const text of texts) if (!read.includes(text)) observer.fault(`${address} does not show as it is: ${text.slice(0, 80)}`)
}

export const acts = {
  'begin a draft': draft,
  'watch a meeting': meeting,
  challenge,
  'answer a challenge': answer,
  'search by person': searchByPerson,
  'make reports': makeReports,
  'begin subject access': beginAccess,
  'approve subject access': approveAccess,
  'issue subject access': issueAccess,
  'ask for erasure': askErasure,
  'confirm an erasure': confirmErasure,
  print,
  read: reads,
}
