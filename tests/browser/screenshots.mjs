// Pictures of the first screen of each page, of a demo that stays up. Usage: node screenshots.mjs PLAY OUT
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Desk } from './desks.mjs'
import { chromium } from './modules.mjs'
import { Observer } from './observer.mjs'
import { found } from './programs.mjs'

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

// A desk, and what to do there: an address, then texts of links to follow, then the picture's name.
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
  ]],
  ['hub', 'hub.governance1', [['hub-records', '/records']]],
  ['CSC', 'csc.assessor', [
    ['node-worklist', '/worklist'],
    ['node-people', '/people'],
    ['node-person', '/people', 'main tbody a'],
    ['node-inbox', '/inbox'],
    ['node-item', '/inbox', 'main tbody a'],
    ['node-news', '/news'],
  ]],
]

for (const [program, who, pictures] of PLACES) {
  const site = `https://${JSON.parse(readFileSync(join(play, 'captured', `${program}.ready`), 'utf8')).console}`
  const desk = new Desk({ browser, observer, who, site })
  desk.now = now()
  await desk.setUp(invite(program, who))
  for (const [name, address, ...links] of pictures) {
    const visit = await desk.go(address)
    for (const link of links) await visit.follow(visit.page.locator(link).first())
    await visit.page.screenshot({ path: join(out, `${name}.png`) })
  }
  await desk.close()
}
await browser.close()
if (observer.faults.length) console.error(observer.faults.join('\n'))
