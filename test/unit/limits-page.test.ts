import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../runtime/package-root.js'
import { readSources } from '../support/source-files.js'

const page = suite('docs/limits.md')
const rows = readFileSync(join(packageRoot, 'docs', 'limits.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| what'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const code = readSources()
  .filter(({ path }) => !/^(test|bench)\//.test(path))
  .map(({ text }) => text)
  .join('\n')
const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)

page('names limits that the code has', () => {
  assert.ok(rows.length > 20)
  for (const [, what, , names] of rows) {
    for (const name of quoted(names))
      assert.ok(new RegExp(`\\b${name}\\b`).test(code), `${what}: no ${name} in the code`)
  }
})

page('quotes messages that the code says', () => {
  for (const [, what, , , refusal] of rows) {
    for (const message of quoted(refusal)) assert.ok(code.includes(message), `${what}: nothing says '${message}'`)
  }
})

page.run()
