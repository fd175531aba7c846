import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryContent } from '../../../client/content/content.js'
import { runLocal } from '../../../client/replay/run-local.js'
import type { UnitAnswer } from '../../../client/results/answer.js'
import { FamilyReader } from '../../../client/results/family.js'
import { reduceAnswers } from '../../../client/results/reduce.js'
import { ResultsReader } from '../../../client/results/results.js'
import { buildJob, type JobRequest } from '../../../client/submit/job-builder.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { systemRandom } from '../../../runtime/random.js'
import { findTask } from '../../../tasks/registry.js'
import type { Task } from '../../../tasks/task.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { printed } from '../../support/client/fake-job.js'
import { deadline } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const echo: Task = {
  name: 'echo',
  version: 1,
  summary: '',
  usage: '',
  defaultArguments: [],
  sources: ['lines'],
  execute: ({ unit, stdin }) => (unit === 2 ? { exitCode: 4, stdout: stdin } : { exitCode: 0, stdout: stdin }),
}

const compute = () =>
  startInProcessCompute({
    threads: 3,
    clock: systemClock,
    costMs: (_, unit) => (unit % 3 === 0 ? 2 : 0),
    findTask: ({ task }) => (task.type === 'builtin' ? (task.name === 'echo' ? echo : findTask(task.name)) : undefined),
  })

const build = (request: JobRequest) =>
  buildJob(request, {
    sha256,
    random: systemRandom,
    nowMs: systemClock.wallMs(),
    network: 'test',
    submitter: 'ab'.repeat(32) as never,
    peers: 1,
  })

const builtin = (name: string) => ({ type: 'builtin', name, version: 1 }) as const
const local = suite('runLocal')

local('gives what the grid gives, in order', async () => {
  const built = await build({
    task: builtin('primes'),
    source: { type: 'range', range: '0..10^5:10^3' },
    args: ['{start}', '{end}'],
  })
  let text = ''
  const running = compute()
  const answers = runLocal({ built, compute: running, sha256 })
  const sink = {
    write: (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes)
    },
  }
  await deadline(reduceAnswers(answers, findTask('primes'), built.spec, sink), 10_000, 'primes')
  assert.is(text, '9592\n')
  await running.close()
})

local('items of a list reach the program, failures come as such', async () => {
  const source = { type: 'lines', content: memoryContent(utf8('a\nb\nc\nd')) } as const
  const built = await build({ task: builtin('echo'), source })
  const running = compute()
  const answers: UnitAnswer[] = []
  for await (const answer of runLocal({ built, compute: running, sha256 })) answers.push(answer)
  assert.equal(
    answers.map(({ output }) => new TextDecoder().decode(output!.stdout)),
    ['a\n', 'b\n', 'c\n', 'd'],
  )
  assert.equal(
    answers.map(({ state }) => state),
    ['done', 'done', 'failed', 'done'],
  )
  assert.match(answers[2]!.reason, /exit code 4/)
  const one: UnitAnswer[] = []
  for await (const answer of runLocal({ built, compute: running, sha256, units: [{ first: 1, count: 1 }] }))
    one.push(answer)
  assert.equal(
    one.map(({ unit, digest }) => [unit, digest]),
    [[1, answers[1]!.digest]],
  )
  await running.close()
})

local('a machine that cannot run a unit says so instead of waiting for ever', async () => {
  const built = await build({ task: builtin('absent'), source: { type: 'count', count: 3 } })
  const running = compute()
  const answers: UnitAnswer[] = []
  const read = async () => {
    for await (const answer of runLocal({ built, compute: running, sha256 })) answers.push(answer)
  }
  await deadline(read(), 10_000, 'host failures')
  assert.equal(
    answers.map(({ outcome }) => outcome),
    ['host', 'host', 'host'],
  )
  await running.close()
})

local('can be aborted', async () => {
  const built = await build({ task: builtin('primes'), source: { type: 'count', count: 1_000 }, args: ['0', '1000'] })
  const running = compute()
  const stop = new AbortController()
  const read = async () => {
    for await (const { unit } of runLocal({ built, compute: running, sha256, signal: stop.signal }))
      if (unit === 5) stop.abort()
  }
  await rejects(deadline(read(), 10_000, 'the abort'), 'closed')
  await running.close()
})

local.run()

const family = suite('FamilyReader')

family('units of a retry stand in for those of the job', async () => {
  const grid = new FakeGrid()
  const parent = grid.job({}, (unit) =>
    unit === 7 || unit === 70 ? printed('', { outcome: 'memory' }) : printed('parent'),
  )
  const selection = [
    { first: 7, count: 1 },
    { first: 70, count: 1 },
  ]
  const child = grid.job({ parent: parent.jobId, selection }, () => printed('child'))
  const [job, retry] = await Promise.all([grid.client.job(parent.jobId), grid.client.job(child.jobId)])
  const reader = new FamilyReader(grid.client, job, [retry])
  const none = reader.summary
  assert.equal([none.proved, none.donorsMin, none.grantorsMin], [0, 0, 0], 'nothing is proved yet')
  const texts: string[] = []
  for await (const { answer, jobId } of reader) {
    assert.is(answer.unit, texts.length)
    texts.push(new TextDecoder().decode(answer.output!.stdout))
    assert.is(jobId, texts.at(-1) === 'child' ? child.jobId : parent.jobId)
  }
  assert.is(texts.length, 100)
  assert.equal(
    texts.flatMap((text, unit) => (text === 'child' ? [unit] : [])),
    [7, 70],
  )
  const { units, proved, failed, donorsMin, donorsMax, grantorsMin } = reader.summary
  assert.equal([units, proved, failed], [100, 100, 0])
  assert.ok(donorsMin === 2 && donorsMax === 2 && grantorsMin >= 1)
  assert.throws(() => new FamilyReader(grid.client, retry, [job]), /no retry/)
  const plain = new ResultsReader(grid.client, job)
  for await (const _ of plain);
  assert.is(plain.summary.failed, 2)
})

family.run()
