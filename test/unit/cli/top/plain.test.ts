import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Output } from '../../../../cli/terminal/output.js'
import type { TopEvent } from '../../../../cli/top/core/messages.js'
import { PlainTop } from '../../../../cli/top/plain.js'
import { TextSink } from '../run.js'
import { jobId, listed, look, machine, NOW } from './fixtures.js'

function lines(events: readonly (readonly [event: TopEvent, atMs: number])[], json = false): readonly string[] {
  const stdout = new TextSink()
  const stderr = new TextSink()
  const output = new Output({ stdout, stderr, json, quiet: false, verbose: false, noColor: true })
  const plain = new PlainTop(output, () => '12:00:00')
  for (const [event, atMs] of events) plain.handle(event, NOW + atMs)
  return stdout.text.split('\n').slice(0, -1)
}

const id = jobId('aa')
const begin: readonly (readonly [TopEvent, number])[] = [
  [{ type: 'jobsListed', jobs: [listed(id, 'sums')] }, 0],
  [{ type: 'jobLooked', jobId: id, look: look({}, { settled: 10 }) }, 0],
]
const plain = suite('plain lines of top')

plain('a change is a line, and what is the same is none', () => {
  const same: TopEvent = { type: 'jobLooked', jobId: id, look: look({}, { settled: 10 }) }
  assert.equal(lines([...begin, [same, 5_000]]), ['12:00:00  job aa000000  sums  running  10/1000 1.0%'])
})

plain('numbers that run give a line a second at most, an end at once', () => {
  const at = (settled: number, end?: 'finished'): TopEvent => ({
    type: 'jobLooked',
    jobId: id,
    look: look({ end }, { settled }),
  })
  const said = lines([...begin, [at(20), 300], [at(30), 600], [at(40), 1_200], [at(1_000, 'finished'), 1_300]])
  assert.equal(
    said.map((line) => / ([0-9]+)\/1000/.exec(line)?.[1]),
    ['10', '40', '1000'],
  )
  assert.match(said.at(-1)!, /finished/)
})

plain('names of others are cleaned', () => {
  const said = lines([
    [{ type: 'jobsListed', jobs: [listed(id, 'a\u001b[2J\u202eb')] }, 0],
    [{ type: 'jobLooked', jobId: id, look: look({ waiting: 'x\u0007\u200by' }) }, 0],
  ])
  assert.not.match(said.join(''), /[\p{Cc}\p{Cf}]/u)
})

plain('this machine is a line when it begins, pauses or goes', () => {
  const said = lines([
    [{ type: 'processSeen', machine: machine() }, 0],
    [{ type: 'processSeen', machine: machine({ paused: true }) }, 10],
    [{ type: 'processGone', reason: 'it has ended' }, 20],
  ])
  assert.equal(said, [
    '12:00:00  this machine computing, 1 of 2 threads busy, 17 units agreed',
    '12:00:00  this machine paused, 1 of 2 threads busy, 17 units agreed',
    '12:00:00  it has ended',
  ])
})

plain('with --json every change is a value on a line', () => {
  const values = lines([...begin, [{ type: 'processSeen', machine: machine() }, 0]], true).map(
    (line) => JSON.parse(line) as Record<string, unknown>,
  )
  assert.equal(
    values.map(({ v, type }) => [v, type]),
    [
      [1, 'job'],
      [1, 'me'],
    ],
  )
  assert.is((values[0]!.summary as { settled: number }).settled, 10)
  assert.is(values[0]!.state, 'running')
})

plain.run()
