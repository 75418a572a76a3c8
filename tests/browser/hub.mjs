// What co-ordinators do at the hub's console. Fields are found by the names under which they are sent.

const field = (visit, name) => visit.page.locator(`main [name="${name}"]:not([type=hidden])`).first()
const choice = (visit, name, value) => visit.page.locator(`main [name="${name}"][value="${value}"]`)

// A moment in four fields: of the clock on the wall.
const fillMoment = async (visit, name, unixMs) => {
  if (!unixMs) return
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/London', dateStyle: 'short', timeStyle: 'short' }).formatToParts(unixMs)
  const of = (type) => parts.find((part) => part.type === type).value
  await visit.hand.fill(field(visit, `${name}-day`), of('day'))
  await visit.hand.fill(field(visit, `${name}-month`), of('month'))
  await visit.hand.fill(field(visit, `${name}-year`), of('year'))
  await visit.hand.fill(field(visit, `${name}-time`), `${of('hour')}:${of('minute')}`)
}

export const fillPerson = async (visit, person) => {
  const { hand } = visit
  await hand.fill(field(visit, 'label'), person.label)
  await hand.fill(field(visit, 'given'), person.given)
  await hand.fill(field(visit, 'family'), person.family)
  const [year, month, day] = person.born.split('-')
  if (day) await hand.fill(field(visit, 'born-day'), day)
  if (month) await hand.fill(field(visit, 'born-month'), month)
  if (year) await hand.fill(field(visit, 'born-year'), year)
  if (person.sex) await hand.tick(choice(visit, 'sex', person.sex))
  if (person.role) await hand.tick(choice(visit, 'role', person.role))
  if (person.initial) await hand.tick(choice(visit, 'initial', person.initial))
  if (person.nhs) await hand.fill(field(visit, 'nhs'), person.nhs)
  for (const [n, name] of person.other_names.entries()) {
    await hand.select(field(visit, `names-${n + 1}-kind`), name.kind)
    await hand.fill(field(visit, `names-${n + 1}-given`), name.given)
    await hand.fill(field(visit, `names-${n + 1}-family`), name.family)
  }
  for (const [n, address] of person.addresses.entries()) {
    if (address.house) await hand.fill(field(visit, `addresses-${n + 1}-house`), address.house)
    if (address.postcode) await hand.fill(field(visit, `addresses-${n + 1}-postcode`), address.postcode)
  }
}

const open = async ({ go }, what) => {
  const visit = await go('/enquiries/new')
  const { hand, page } = visit
  await visit.press('Start now')
  await hand.tick(choice(visit, 'purpose', what.purpose))
  await hand.tick(choice(visit, 'domestic-abuse', what.domestic_abuse ? 'yes' : 'no'))
  await hand.select(field(visit, 'agency'), what.agency)
  await hand.fill(field(visit, 'reference'), what.reference)
  if (what.source) await hand.select(field(visit, 'source'), what.source)
  await fillMoment(visit, 'incident-at', what.incident)
  await fillMoment(visit, 'received-at', what.received)
  await visit.press('Save and continue')
  for (const [n, person] of what.people.entries()) {
    await visit.done()
    await fillPerson(visit, person)
    await visit.press(n + 1 < what.people.length ? 'Save and add another person' : 'Save and continue')
  }
  await visit.done()
  await visit.follow(page.locator('main a[href$="/links"]'))
  for (const link of what.links) {
    await hand.select(field(visit, 'from'), link.from)
    await hand.select(field(visit, 'kind'), link.kind)
    await hand.select(field(visit, 'to'), link.to)
    await visit.press('Add this link')
    await visit.done()
  }
  await visit.follow('Continue')
  await visit.press('Open this enquiry')
  await visit.done()
  return { enquiry: new URL(page.url()).pathname.split('/')[2] }
}

// A step in the life of an enquiry, on the form of its kind.
const step = (kind, fill) => async ({ go }, what) => {
  const visit = await go(`/enquiries/${what.enquiry}/plan`)
  await visit.go(`/enquiries/${what.enquiry}/plan/${kind}`)
  const done = await fill(visit, what)
  if (done) return done
  await visit.press('Record')
  await visit.done()
}

const planAnAction = step('action', async (visit, what) => {
  const { hand } = visit
  const owners = await field(visit, 'agency').locator('option').evaluateAll((all) => all.map((option) => option.value))
  // One of the family can not be chosen; whoever asks learns that nobody offers it.
  if (!owners.includes(what.owner)) return { offered: false }
  await hand.select(field(visit, 'word'), what.word)
  await hand.select(field(visit, 'agency'), what.owner)
  await hand.tick(choice(visit, 'person', what.person))
  await hand.fill(field(visit, 'what'), what.what)
  await fillMoment(visit, 'due', what.due)
  await hand.fill(field(visit, 'action'), what.action)
})

const endAnAction = step('progress', async (visit, what) => {
  await visit.hand.tick(choice(visit, 'action', what.action))
  await visit.hand.tick(choice(visit, 'state', what.state))
  if (what.note) await visit.hand.fill(field(visit, 'note'), what.note)
})

const lead = step('lead', async (visit, what) => {
  await visit.hand.select(field(visit, 'agency'), what.agency)
  await visit.hand.fill(field(visit, 'role'), what.role)
})

const event = step('event', async (visit, what) => {
  await visit.hand.tick(choice(visit, 'word', what.word))
  for (const person of what.people) await visit.hand.tick(choice(visit, 'people', person))
  if (what.agency) await visit.hand.select(field(visit, 'agency'), what.agency)
  await fillMoment(visit, 'at', what.at)
  if (what.note) await visit.hand.fill(field(visit, 'note'), what.note)
})

const meeting = step('meeting', async (visit, what) => {
  await visit.hand.select(field(visit, 'agency'), what.chair)
  for (const agency of what.present) await visit.hand.tick(choice(visit, 'present', agency))
  for (const agency of what.dialled_in) await visit.hand.tick(choice(visit, 'dialled-in', agency))
  await fillMoment(visit, 'at', what.at)
  await visit.hand.fill(field(visit, 'agreed'), what.agreed)
})

const waive = step('waiver', async (visit, what) => {
  await visit.hand.select(field(visit, 'agency'), what.agency)
  await visit.hand.tick(choice(visit, 'person', what.person))
  await visit.hand.fill(field(visit, 'reason'), what.reason)
})

const contacts = step('contacts', async (visit, what) => {
  await visit.hand.select(field(visit, 'agency'), what.agency)
  await visit.hand.fill(field(visit, 'contacts'), String(what.contacts))
  await fillMoment(visit, 'last-closed', what.last_closed_at)
})

const close = async ({ go }, what) => {
  const visit = await go(`/enquiries/${what.enquiry}/close`)
  await visit.hand.tick(choice(visit, 'outcome', what.outcome))
  if (what.reason) await visit.hand.fill(field(visit, 'reason'), what.reason)
  await visit.press('Close this enquiry')
  await visit.done()
  return { closed: (await visit.page.locator('#closed').count()) > 0 }
}

const askForDetail = async ({ go }, what) => {
  const visit = await go(`/enquiries/${what.enquiry}/release?person=${what.person}`)
  const { hand, page } = visit
  await hand.select(field(visit, 'holder'), what.holder)
  await hand.tick(choice(visit, 'person', what.person))
  // What is never carried can not be chosen.
  const carried = await field(visit, 'category').locator('option').evaluateAll((all) => all.map((option) => option.value))
  if (!carried.includes(what.category)) return { offered: false }
  await hand.select(field(visit, 'category'), what.category)
  for (const recipient of what.recipients) await hand.tick(choice(visit, 'recipients', recipient))
  const { basis } = what
  for (const name of ['art6', 'statutory_gateway', 'confidentiality_justification', 'agreement_status']) {
    await hand.tick(choice(visit, name.replaceAll('_', '-'), basis[name]))
  }
  for (const name of ['art9_condition', 'dpa_schedule_para', 'art10_authority']) {
    if (basis[name]) await hand.select(field(visit, name.replaceAll('_', '-')), basis[name])
  }
  await hand.fill(field(visit, 'necessity'), basis.necessity)
  await hand.fill(field(visit, 'proportionality'), basis.proportionality)
  await hand.tick(choice(visit, 'asked-subject', basis.asked_subject ? 'yes' : 'no'))
  if (!basis.asked_subject) await hand.fill(field(visit, 'not-asked-because'), basis.not_asked_because)
  await visit.press('Check before sending')
  await visit.done()
  const named = await page.locator('#recipients li').allInnerTexts()
  if (named.length !== what.recipients.length) throw new Error(`the preview names ${named}`)
  await visit.press('Send this request')
  await visit.done()
}

export const acts = {
  open,
  'plan an action': planAnAction,
  'end an action': endAnAction,
  'name who leads': lead,
  'record an event': event,
  'record a meeting': meeting,
  'waive an answer': waive,
  'record earlier contacts': contacts,
  close,
  'ask for detail': askForDetail,
}
