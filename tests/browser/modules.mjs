// What comes from npm lies under target/, not beside these files.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../target/browser/package.json', import.meta.url))

export const { chromium } = require('playwright-core')
export const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
