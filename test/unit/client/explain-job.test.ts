import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CLOCK_OFF_MS, clockFindings } from '../../../client/explain/core/clocks.js'
import { explainJob } from '../../../client/explain/core/explain-job.js'
import { explainUnit } from '../../../client/explain/core/explain-unit.js'
import { FINDING_CODES } from '../../../client/explain/core/findings.js'
import type { JobSight, PeerAnswer } from '../../../client/explain/core/job-sight.js'
import { OTHER_OWNERS } from '../../../job/standing.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import type { ExplainReply, ShardSight, UnitGroup, WorkerGroup } from '../../../proto/explain-messages.js'
import type { NodeId } from '../../../proto/model.js'
import { packageRoot } from '../../../runtime/package-root.js'
import { specWith } from '../job/fixture.js'
import { jobId } from '../job/samples.js'

const WALL_MS = 1_750_000_000_000
const UNITS = 4
const summary = { ...EMPTY_SUMMARY, units: UNITS, open: UNITS }
const WORDS = { job: '1a1a', flags: ' --join HOST' }

function node(name: string): NodeId {
  return name.repeat(40).slice(0, 40) as NodeId
}

function shard(groups: readonly UnitGroup[], changes: Partial<ShardSight> = {}): ShardSight {
  return {
    shard: 0,
    summary,
    owners: 2,
    minGrantors: 1,
    quietMs: 0,
    groups,
    lastGrantMs: undefined,
    lastAnswerMs: undefined,
    ...changes,
  }
}

const UNTOUCHED: UnitGroup = { wait: 'untouched', units: UNITS, examples: [0], sinceMs: 9_000 }

function answer(name: string, changes: Partial<ExplainReply> = {}): PeerAnswer {
  return {
    nodeId: node(name),
    address: `${name}:1`,
    reply: {
      version: '1.0.0',
      wallMs: WALL_MS,
      uptimeMs: 1_000,
      refusal: '',
      home: { rank: 0, guarding: undefined, troubles: [] },
      shards: [shard([UNTOUCHED])],
      workers: [],
      workersAble: 0,
      donorsAble: 0,
      refusedKeys: [],
      unit: undefined,
      events: [],
      ...changes,
    },
  }
}

function sight(answers: readonly PeerAnswer[], changes: Partial<JobSight> = {}): JobSight {
  return {
    jobId,
    spec: specWith({ policy: { type: 'quorum', quorum: 2 } }),
    cancelled: false,
    expiresAtMs: WALL_MS + 1_000_000,
    summary,
    waiting: '',
    holders: 2,
    wanted: 2,
    ageMs: 9_000,
    homes: [],
    answers,
    silences: [],
    wallMs: WALL_MS,
    ...changes,
  }
}

function workers(bar: WorkerGroup['bar'], value = '', count = 1): WorkerGroup {
  return { bar, value, workers: count, threads: count, examples: [], sinceMs: 5_000 }
}

const able = { workersAble: 2, donorsAble: 2, workers: [workers('none', '', 2)] }

function codes(found: JobSight): string[] {
  return explainJob(found, WORDS).map(({ code, blocks }) => (blocks ? `${code}!` : code))
}

const test = suite('explainJob')

test('no worker at any owner blocks a job, and each owner says so once', () => {
  const findings = explainJob(sight([answer('a'), answer('b')]), WORDS)
  assert.equal(
    findings.map(({ code, blocks, by, cure }) => [code, blocks, by, cure]),
    [['no-worker', true, ['a:1', 'b:1'], 'start one: manyhands work --join HOST']],
  )
})

test('what bars all workers blocks; what bars some of them is only told', () => {
  const barred = [workers('memory', String(2 ** 26)), workers('restrained', 'pause')]
  assert.equal(codes(sight([answer('a', { workers: barred })])), ['paused!', 'memory!'])
  const some = { ...able, workers: [...able.workers, ...barred] }
  assert.equal(codes(sight([answer('a', some)])), ['paused', 'memory', 'not-started'])
})

test('what keeps workers away is no older than the job, and the cure for too little memory is as much as it needs', () => {
  const here = { ...workers('memory', String(2 ** 26)), sinceMs: 3_600_000 }
  const [finding] = explainJob(sight([answer('a', { workers: [here] })]), WORDS)
  assert.is(finding?.sinceMs, 9_000)
  const needed = / ([0-9]+) MiB needed$/.exec(finding?.value ?? '')?.[1]
  assert.match(finding?.cure ?? '', new RegExp(`work --memory ${needed}MiB`))
})

test('each bar has a sentence with the value that decides it', () => {
  const bars = [
    workers('memory', String(2 ** 26)),
    workers('task', 'primes@7'),
    workers('task', ''),
    workers('profile', '0'),
    workers('job', 'x'),
    workers('unnamed'),
    workers('restrained', 'on-battery'),
    workers('refused', 'refuse'),
  ]
  for (const group of bars) {
    const [finding] = explainJob(sight([answer('a', { workers: [group] })]), WORDS)
    assert.match(finding!.sentence, /^1 worker/, group.bar)
    assert.ok(finding!.blocks && finding!.cure !== '', group.bar)
  }
  assert.equal(codes(sight([answer('a', { workers: [workers('task', 'primes@7')] })])), ['version-old!'])
  assert.equal(codes(sight([answer('a', { workers: [workers('task', '')] })])), ['task-missing!'])
})

test('a job that waits for another of its submitter says for which, whatever else an owner may write there', () => {
  const full = (value: string) =>
    explainJob(sight([answer('a', { workersAble: 2, donorsAble: 2, workers: [workers('full', value, 2)] })]), WORDS)
  const [behind] = full('ab'.repeat(32))
  assert.equal([behind?.code, behind?.blocks], ['behind', true])
  assert.match(behind!.sentence, /first: abababababab$/)
  assert.match(behind!.cure, /manyhands priority 1a1a 10/)
  for (const other of ['', 'sudo rm', 'ab'.repeat(40)]) assert.is(full(other)[0]?.code, 'busy')
})

test('fewer donors than the quorum are told with both numbers', () => {
  const one = { workersAble: 1, donorsAble: 1, workers: [workers('none')] }
  const [finding] = explainJob(sight([answer('a', one)]), WORDS)
  assert.equal([finding?.code, finding?.value], ['quorum', '1 of quorum 2'])
})

test('the owner that sees fewest units waiting is right about waiting, the one that sees most about computing', () => {
  const donor = (units: number): UnitGroup => ({ wait: 'donor', units, examples: [0], sinceMs: 9_000 })
  const computing: UnitGroup = { wait: 'computing', units: 2, examples: [1, 2], sinceMs: 500 }
  assert.equal(
    codes(
      sight([
        answer('a', { ...able, shards: [shard([donor(2)])] }),
        answer('b', { ...able, shards: [shard([computing])] }),
      ]),
    ),
    ['computing'],
  )
  const both = [
    answer('a', { ...able, shards: [shard([donor(2)])] }),
    answer('b', { ...able, shards: [shard([donor(1)])] }),
  ]
  const found = explainJob(sight(both), WORDS)
  assert.equal([found[0]?.code, found[0]?.sentence.slice(0, 6)], ['second-opinion', '1 unit'])
})

test('disputed, held and used-up units block, and name examples', () => {
  for (const [wait, code] of [
    ['disputed', 'disputed'],
    ['held', 'held'],
    ['limit', 'instances-used-up'],
    ['delay', 'resting'],
    ['bytes', 'output-missing'],
  ] as const) {
    const group: UnitGroup = { wait, units: 9, examples: [3, 4], sinceMs: 9_000 }
    const [finding] = explainJob(sight([answer('a', { ...able, shards: [shard([group])] })]), WORDS)
    assert.equal([finding?.code, finding?.value, finding?.blocks], [code, 'units 3, 4 ...', true])
  }
})

test('fewer owners than grants must come from is told', () => {
  const alone = answer('a', { ...able, shards: [shard([UNTOUCHED], { minGrantors: 2 })] })
  assert.ok(codes(sight([alone])).includes('min-grantors!'))
  const other = answer('b', { ...able, shards: [shard([UNTOUCHED], { minGrantors: 2 })] })
  assert.not.ok(codes(sight([alone, other])).includes('min-grantors!'))
})

test('a peer that fell silent is told by its homes, until it answers', () => {
  const trouble = {
    nodeId: node('c'),
    address: 'c:1',
    what: 'silent',
    code: '',
    reason: '',
    sinceMs: 12_000,
    shards: 1,
  } as const
  const home = answer('a', { ...able, home: { rank: 0, guarding: undefined, troubles: [trouble] } })
  const silent = { nodeId: node('c'), address: 'c:1', reason: 'refused', isThere: false }
  const found = explainJob(sight([home], { silences: [silent] }), WORDS).filter(({ code }) => code === 'owner-gone')
  assert.equal(
    found.map(({ sinceMs, by }) => [sinceMs, by]),
    [[12_000, ['a:1']]],
  )
  assert.not.ok(codes(sight([home, answer('c', able)])).includes('owner-gone'))
})

test('homes that deny the job are told where guards of its region have it', () => {
  const homes = ['h', 'i', 'k'].map((name) => ({ nodeId: node(name), address: `${name}:1` }))
  const silences = homes.map((home) => ({ ...home, reason: 'not known', isThere: true }))
  const guard = answer('g', { ...able, home: { rank: 10, guarding: 'acting', troubles: [] } })
  const found = explainJob(sight([guard], { homes, silences }), WORDS).find(({ code }) => code === 'homes-fail')
  assert.match(found?.sentence ?? '', /3 peers of the 3 nearest to the job say they do not know it/)
  assert.match(found?.sentence ?? '', /1 peer of the region around it keeps it and gives it out in their place/)
  assert.is(found?.value, '3 of 3 homes deny it, 1 of 1 guards act')
  const watching = answer('g', { ...able, home: { rank: 10, guarding: 'watching', troubles: [] } })
  assert.not.ok(codes(sight([watching], { homes, silences: silences.slice(2) })).includes('homes-fail'))
})

test('a quota names the peer and the limit', () => {
  const reason = 'this peer keeps at most 3 jobs of one submitter'
  const trouble = {
    nodeId: node('b'),
    address: 'b:1',
    what: 'shard',
    code: 'quota',
    reason,
    sinceMs: 1,
    shards: 1,
  } as const
  const [finding] = explainJob(
    sight([answer('a', { ...able, home: { rank: 0, guarding: undefined, troubles: [trouble] } })]),
    WORDS,
  )
  assert.equal([finding?.code, finding?.value, finding?.blocks], ['quota', reason, false])
})

test('what has ended says nothing of workers', () => {
  assert.equal(codes(sight([answer('a')], { cancelled: true })), ['cancelled!'])
  assert.equal(codes(sight([answer('a', { refusal: 'expired' })], { expiresAtMs: WALL_MS - 5 })), ['expired!'])
  assert.equal(codes(sight([answer('a', { refusal: 'all of 20 units failed' })])), ['stopped!'])
  const strangers = ['a', 'b'].map((name) => answer(name, { refusal: OTHER_OWNERS }))
  assert.equal(codes(sight(strangers)), ['owners-named!'])
  assert.not.ok(codes(sight([...strangers, answer('c', able)])).includes('owners-named!'), 'one of the three may grant')
})

test('a finished job has nothing to explain but what failed', () => {
  assert.equal(codes(sight([answer('a')], { summary: { ...summary, open: 0, settled: UNITS } })), [])
  const failed = { ...summary, open: 0, settled: UNITS - 1, failed: 1 }
  assert.equal(codes(sight([answer('a')], { summary: failed })), ['units-failed'])
})

test('what nobody can explain is said to be so', () => {
  const waiting = 'something odd'
  const found = explainJob(sight([answer('a', { ...able, shards: [shard([UNTOUCHED])] })], { waiting }), WORDS)
  assert.equal([found[0]?.code, found[0]?.sentence], ['unexplained', 'its home says: something odd'])
})

test('everything said has a sentence and somebody who says it', () => {
  const all = sight([answer('a', { workers: [workers('memory', '1')] })], { holders: 1 })
  for (const { sentence, by, code } of explainJob(all, WORDS)) assert.ok(sentence !== '' && by.length > 0, code)
})

test.run()

const unit = suite('explainUnit')

unit('puts the memories of all owners in order', () => {
  const seen = {
    unit: 2,
    shard: 0,
    state: 'open',
    wait: 'drawn',
    sinceMs: 50,
    answers: 1,
    errors: 0,
    instancesMax: 10,
    errorsMax: 3,
    leases: [],
    drawn: node('e'),
    drawnMs: 40,
    restingMs: 0,
    elsewhere: [],
  } as const
  const event = (agoMs: number, what: 'granted' | 'answered') => ({
    unit: 2,
    agoMs,
    what,
    worker: node('d'),
    detail: '',
  })
  const found = explainUnit(
    sight([
      answer('a', { unit: { ...seen, drawn: undefined, wait: 'donor' }, events: [event(100, 'answered')] }),
      answer('b', { unit: seen, events: [event(900, 'granted')] }),
    ]),
    2,
  )
  assert.equal(
    found.timeline.map(({ what, by }) => [what, by]),
    [
      ['granted', 'b:1'],
      ['answered', 'a:1'],
    ],
  )
  assert.is(found.sight?.wait, 'drawn')
  assert.match(
    found.lines.join('\n'),
    /1 answer so far, 2 have to agree[\s\S]*kept for worker eeeeeeeeeeee since 40ms \(by b:1\)/,
  )
})

unit('nobody has it yet', () => {
  assert.is(explainUnit(sight([]), 2).sight, undefined)
})

unit.run()

const clocks = suite('clockFindings')
const clock = (name: string, off: number) => ({ nodeId: node(name), address: name, theirMs: WALL_MS + off })

clocks('five peers that agree against this machine are right', () => {
  const peers = ['a', 'b', 'c', 'd', 'e'].map((name) => clock(name, CLOCK_OFF_MS))
  const [finding] = clockFindings(WALL_MS, peers)
  assert.equal([finding?.code, finding?.sentence.includes('5m behind')], ['clock-here', true])
})

clocks('one of six is wrong by itself', () => {
  const peers = ['a', 'b', 'c', 'd', 'e'].map((name) => clock(name, 20))
  const found = clockFindings(WALL_MS, [...peers, clock('f', 3_600_000)])
  assert.equal(
    found.map(({ code, by }) => [code, by]),
    [['clock-peer', ['f']]],
  )
})

clocks('fewer than five judge nobody, and less than five minutes is no matter', () => {
  const found = clockFindings(WALL_MS, [clock('a', -CLOCK_OFF_MS), clock('b', CLOCK_OFF_MS - 1)])
  assert.equal(
    found.map(({ code }) => code),
    ['clocks-differ'],
  )
})

clocks.run()

const docs = suite('docs/explain.md')
const page = readFileSync(join(packageRoot, 'docs', 'explain.md'), 'utf8')

docs('has a row for every finding, and no other', () => {
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \|$/gm)]
  assert.equal(
    rows.map(([, code]) => code),
    [...FINDING_CODES],
  )
  for (const [, code, cause, cure] of rows) assert.ok(cause!.length > 10 && cure!.length > 3, code)
})

docs.run()
