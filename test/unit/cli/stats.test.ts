import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { scaledText } from '../../../cli/stats/sums.js'
import { run, temporaryFolder } from './run.js'

const folder = temporaryFolder()
const here = (name: string) => join(folder.path, name)
const test = suite('stats of exported ledgers')
test.after(() => folder.close())

const KEY = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)
const row = (day: number, job: string, submitter: string, agreed: number, name = '') => ({
  day,
  jobId: job.padEnd(64, '0'),
  jobName: name,
  submitter,
  agreed,
  disagreed: 1,
  fuel: String(10n ** 20n),
  computeMs: 1_500,
})
const DAY = Date.parse('2026-03-01T00:00:00Z') / 86_400_000

function ledger(file: string, id: string, rows: readonly unknown[]): string {
  const value = { v: 1, type: 'manyhands-ledger', ledger: id.repeat(32), sinceMs: DAY * 86_400_000, rows }
  writeFileSync(here(file), JSON.stringify(value))
  return here(file)
}

test('rows of several machines are added up by day, job and submitter, and keys have the names of the configuration', async () => {
  const one = ledger('one.json', '1', [row(DAY, 'a', KEY, 3, 'evil\u001b[2J'), row(DAY + 1, 'b', OTHER, 5)])
  const two = ledger('two.json', '2', [row(DAY + 1, 'a', KEY, 4)])
  const earlier = ledger('earlier.json', '1', [row(DAY, 'a', KEY, 2)])
  mkdirSync(here('.config/manyhands'), { recursive: true })
  writeFileSync(here('.config/manyhands/config.toml'), `[names]\nalice = "${KEY}"\n`)
  const stats = async (...args: readonly string[]) => {
    const result = await run(['stats', ...args], { home: folder.path })
    assert.is(result.code, 0, result.stderr)
    return result
  }
  const byDay = await stats(earlier, one, two)
  assert.match(byDay.stdout, /^2026-03-01 +1 +3 +1 /m)
  assert.match(byDay.stdout, /^2026-03-02 +2 +9 +2 /m)
  assert.match(byDay.stdout, /^total +2 +12 +3 /m)
  assert.match(byDay.stderr, /earlier\.json is an earlier state/)
  const byJob = await stats('--by', 'job', one, two)
  assert.match(byJob.stdout, /^a0{11} +evil \[2J +alice +2026-03-02 +7 +2 /m)
  assert.not.match(byJob.stdout, /\u001b/)
  const bySubmitter = JSON.parse((await stats('--by', 'submitter', '--json', one, two)).stdout) as {
    groups: readonly Readonly<Record<string, unknown>>[]
  }
  assert.equal(
    bySubmitter.groups.map(({ submitter, submitterName, agreed, fuel }) => [submitter, submitterName, agreed, fuel]),
    [
      [KEY, 'alice', 7, String(2n * 10n ** 20n)],
      [OTHER, undefined, 5, String(10n ** 20n)],
    ],
  )
  const since = await stats('--since', '2026-03-02', one, two)
  assert.match(since.stdout, /^total +2 +9 /m)
  assert.match(since.stdout, /since 2026-03-01: 12 units agreed/)
})

test('a file that is no ledger, or a damaged one, is refused by its name', async () => {
  for (const text of ['', '{}', '[]', '{"v":1,"type":"manyhands-ledger","ledger":"x","sinceMs":0,"rows":[]}']) {
    writeFileSync(here('bad.json'), text)
    const { code, stderr } = await run(['stats', here('bad.json')], { home: folder.path })
    assert.is(code, 2)
    assert.match(stderr, /bad\.json is no exported ledger/)
  }
})

test('counts of any size have four digits at most', () => {
  const texts = [0n, 999n, 1_000n, 12_345n, 999_499n, 999_500n, 4_560_000n, 10n ** 24n].map(scaledText)
  assert.equal(texts, ['0', '999', '1.00 k', '12.3 k', '999 k', '1.00 M', '4.56 M', '1.00 Y'])
})

test.run()
