// Pictures of the first screen of each page, of a demo that stays up. Usage: node screenshots.mjs PLAY OUT
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Desk } from './desks.mjs'
import { chromium } from './modules.mjs'
import { Observer } from './observer.mjs'
import { found } from './programs.mjs'
import { acts } from './rest.mjs'

const [play, out] = process.argv.slice(2)
mkdirSync(out, { recursive: true })

// What time it is on the demo's stage, whose clock runs on from where the scenario ended.
const now = () => {
  const [from, since] = readFileSync(join(play, 'stage/clock'), 'utf8').trim().split(' since ')
  return since ? Date.parse(from) + Date.now() - Date.parse(since) : Date.parse(from)
}

const invite = (program, who) => {
  const [command, config] = program === 'hub' ? ['hub', 'hub/hub.toml'] : ['agency-node', `nodes/${program}/agency-node.toml`]
  const args = ['--stage', join(play, 'stage'), '--name', 'invite', command, 'account', 'invite', who, '--config', join(play, config)]
  return execFileSync('target/debug/staged', args).toString().split('\n')[0]
}

const browser = await chromium.launch({ executablePath: found('chromium'), args: ['--no-sandbox', '--disable-dev-shm-usage'] })
const observer = new Observer()
// Nothing is looked for here but pictures.
observer.waysLeft = () => []
// The enquiry that was played, once a co-ordinator has opened it.
let enquiry = ''

// Who asks what is held about them: the first of the people of S1.
const ASKED_BY = { given: 'Nadia', family: 'Brookes', born: '1992-09-25', sex: 'female', nhs: '999 000 0018' }

// A desk, and what to do there: the picture's name, an address, then links to follow; or, for what is no address, an act.
const PLACES = [
  ['hub', 'hub.coordinator', [
    ['hub-enquiries', '/enquiries?show=all'],
    ['hub-agenda', '/agenda'],
    ['hub-enquiry', '/enquiries?show=all', 'main tbody a'],
    ['hub-thresholds', '/enquiries?show=all', 'main tbody a', 'main nav a[href$="/thresholds"]'],
    ['hub-plan', '/enquiries?show=all', 'main tbody a', 'main nav a[href$="/plan"]'],
    ['hub-history', '/enquiries?show=all', 'main tbody a', 'main nav a[href$="/history"]'],
    ['hub-meeting', '/enquiries?show=all', 'main tbody a', 'main a[href$="/meeting-view"]'],
    ['hub-new', '/enquiries/new'],
  ]],
  ['hub', 'hub.auditor', [
    ['hub-log', '/log'],
    ['hub-checks', '/checks'],
    ['hub-alerts', '/alerts'],
    ['hub-alert', '/alerts', 'main tbody a'],
    ['hub-reports', '/reports'],
    ['hub-access', '/access'],
    ['hub-access-draft', (at) => acts['begin subject access'](at, { person: ASKED_BY, analyses_of: '' })],
  ]],
  ['hub', 'hub.governance1', [
    ['hub-records', (at) => acts['ask for erasure'](at, { enquiry, reason: 'Opened by mistake.' })],
  ]],
  ['hub', 'hub.governance2', [
    ['hub-records-waiting', '/records'],
  ]],
  ['CSC', 'csc.assessor', [
    ['node-worklist', '/worklist'],
    ['node-people', '/people'],
    ['node-person', '/people', 'main tbody a'],
    ['node-inbox', '/inbox'],
    ['node-item', '/inbox', 'main tbody a'],
    ['node-news', '/news'],
  ]],
  ['CSC', 'csc.operator', [
    ['node-health', '/operator/health'],
    ['node-configuration', '/operator/configuration'],
    ['node-records', '/operator/records'],
    ['node-connections', '/operator/connections'],
  ]],
]

for (const [program, who, pictures] of PLACES) {
  const site = `https://${JSON.parse(readFileSync(join(play, 'captured', `${program}.ready`), 'utf8')).console}`
  const desk = new Desk({ browser, observer, who, site, of: program === 'hub' ? 'hub' : 'node' })
  desk.now = now()
  await desk.setUp(invite(program, who))
  for (const [name, what, ...links] of pictures) {
    let visit
    const go = async (path) => (visit = await desk.go(path))
    if (typeof what === 'string') await go(what)
    else await what({ observer, go })
    for (const link of links) await visit.follow(visit.page.locator(link).first())
    enquiry ||= new URL(visit.page.url()).pathname.match(/^\/enquiries\/([^/]+)$/)?.[1]
    await visit.page.screenshot({ path: join(out, `${name}.png`) })
  }
  await desk.close()
}
await browser.close()
if (observer.faults.length) console.error(observer.faults.join('\n'))
