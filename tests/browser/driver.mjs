// Drives the consoles for whoever plays a scenario: one JSON object a line on standard input, one answer a line on standard
// output. Each says what is done (`act`), by whom (`who`), at which console (`site`), what time it is there (`now`), and what the act
// needs; `way` says how, and else each way of WAYS has its turn. `tell` tells what was found on all pages.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { Desk, WAYS } from './desks.mjs'
import { chromium } from './modules.mjs'
import { Observer } from './observer.mjs'
import { found } from './programs.mjs'
import * as crawl from './crawl.mjs'
import * as governance from './governance.mjs'
import * as hub from './hub.mjs'
import * as node from './node.mjs'
import * as rest from './rest.mjs'
import * as service from './service.mjs'

const ACTS = { ...hub.acts, ...node.acts, ...governance.acts, ...rest.acts, ...crawl.acts, ...service.acts }

const browser = await chromium.launch({
  executablePath: process.env.BRAG_CHROMIUM ?? found('chromium'),
  args: [
    '--no-sandbox', '--disable-dev-shm-usage', '--disable-extensions',
    // Names that are only a test's, and where they are.
    ...(process.env.BRAG_HOSTS ? [`--host-resolver-rules=MAP ${process.env.BRAG_HOSTS}`] : []),
  ],
})
const observer = new Observer()
const desks = new Map()
// How often each act was done in each way.
const done = {}

const desk = (message) => {
  const { who, site, elsewhere } = message
  const of = site === message.hub_site ? 'hub' : 'node'
  const name = `${who} ${site}`
  if (!desks.has(name)) desks.set(name, new Desk({ browser, observer, who, site, of, elsewhere }))
  const found = desks.get(name)
  found.now = message.now
  return found
}

// The way of this act that was taken least so far, so that every act is done in every way when there are enough of it.
const nextWay = (act) => {
  const counts = (done[act] ??= Object.fromEntries(Object.keys(WAYS).map((way) => [way, 0])))
  return Object.keys(counts).reduce((least, way) => (counts[way] < counts[least] ? way : least))
}

const answer = async (message) => {
  if (message.act === 'tell') {
    await observer.settled()
    const { faults, answers, figures, downloads } = observer
    const of = (program) => ({
      answered: [...observer.answered[program]],
      pages: Object.fromEntries(Array.from(observer.pages[program], ([path, ways]) => [path, [...ways]])),
    })
    return { faults, states: [...observer.states].sort(), answers, done, figures, downloads, hub: of('hub'), node: of('node') }
  }
  const at = desk(message)
  if (message.act === 'set up') {
    await at.setUp(message.invitation)
    return {}
  }
  const act = ACTS[message.act]
  if (!act) throw new Error(`nobody knows how to do this here: ${message.act}`)
  const way = message.way ?? nextWay(message.act)
  const colleague = (who, site) => site && desk({ ...message, who, site })
  const result = (await act({ desk: at, way, observer, colleague, go: (path) => at.go(path, way) }, message)) ?? {}
  nextWay(message.act)
  if (result.offered !== false) done[message.act][way] += 1
  return result
}

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue
  const message = JSON.parse(line)
  let said
  try {
    said = { ok: await answer(message) }
  } catch (error) {
    said = { error: String(error.stack ?? error) }
    if (error.refusal) said.refusal = error.refusal
    else if (message.shots) {
      mkdirSync(message.shots, { recursive: true })
      said.shot = join(message.shots, `${message.act.replaceAll(' ', '-')}-${message.who}.png`)
      said.page = desks.get(`${message.who} ${message.site}`)?.last?.url()
      await desk(message).screenshot(said.shot)?.catch?.(() => {})
    }
  }
  process.stdout.write(`${JSON.stringify(said)}\n`)
}
for (const one of desks.values()) await one.close()
await browser.close()
