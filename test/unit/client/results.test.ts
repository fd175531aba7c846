import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { describeEvidence, type UnitAnswer } from '../../../client/results/answer.js'
import { type ResultsOptions, ResultsReader } from '../../../client/results/results.js'
import { Pins } from '../../../client/session/pins.js'
import { cancelJob } from '../../../client/submit/orders.js'
import { createIdentity } from '../../../overlay/identity/identity.js'
import type { ResultsReply } from '../../../proto/job-messages.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { donors, type FakeJob, factBy, printed } from '../../support/client/fake-job.js'
import { memoryDisk } from '../../support/client/memory-disk.js'
import { cpuMs } from '../../support/cpu-time.js'
import { deadline, eventually } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const LIMIT_MS = 20_000

async function readAll(grid: FakeGrid, job: FakeJob, options: ResultsOptions = {}, limitMs = LIMIT_MS) {
  const known = await grid.client.job(job.jobId)
  const reader = new ResultsReader(grid.client, known, options)
  const answers: UnitAnswer[] = []
  const read = async () => {
    for await (const answer of reader) answers.push(answer)
  }
  await deadline(read(), limitMs, 'reading results')
  return { answers, summary: reader.summary }
}

const text = (answer: UnitAnswer) => new TextDecoder().decode(answer.output!.stdout)

const honest = suite('ResultsReader, honest owners')

honest('gives every unit in order, proved by its donors', async () => {
  const grid = new FakeGrid()
  const { answers, summary } = await readAll(grid, grid.job())
  assert.equal(
    answers.map(({ unit }) => unit),
    Array.from({ length: 100 }, (_, unit) => unit),
  )
  assert.ok(answers.every((answer) => text(answer) === `${answer.unit}\n` && answer.state === 'done'))
  assert.equal(answers[7]!.donors.toSorted(), [donors[0]!.publicKey, donors[1]!.publicKey].toSorted())
  assert.equal(answers[7]!.grantors, [grid.peers[0]!.identity.nodeId])
  assert.is(answers[7]!.proof().length, 2)
  assert.is(describeEvidence(summary), '100 of 100 units: 2 agreeing donors each, checked here')
  assert.equal(summary.missing, [])
  assert.is(summary.problemCount, 0)
})

honest('one donor proves a unit where it is believed, whatever order the facts come in', async () => {
  const grid = new FakeGrid()
  const policy = { type: 'confidence' as const, errorPpm: 1_000 }
  const job = grid.job(
    { source: { type: 'count', count: 192 }, shardUnits: 256, policy, requires: ['confidence'] },
    (unit) => printed(`${unit}\n`),
  )
  // Two donors agree on the first 64 units; then one of them answers alone.
  job.opinions = (first) => (first === 0 ? 2 : 1)
  const held: ResultsReply['facts'][number][] = []
  grid.peers[0]!.lies = {
    // What makes the donor believed comes behind the claims.
    reply: (reply) => {
      if (!reply.done) held.push(...reply.facts)
      return reply.done ? { ...reply, facts: held.splice(0) } : { ...reply, facts: [] }
    },
  }
  const { answers, summary } = await readAll(grid, job)
  assert.is(answers.length, 192)
  assert.is(answers[100]!.donors.length, 1)
  assert.is(summary.problemCount, 0)
  assert.is(describeEvidence(summary), '192 of 192 units: 1 to 2 agreeing donors each, checked here')
})

honest('only the units asked for are read', async () => {
  const grid = new FakeGrid()
  const { answers, summary } = await readAll(grid, grid.job(), { units: [{ first: 60, count: 10 }] })
  assert.equal(
    answers.map(({ unit }) => unit),
    [60, 61, 62, 63, 64, 65, 66, 67, 68, 69],
  )
  assert.is(summary.units, 10)
})

honest('a failed unit comes with its output and why; what is open or held is missing', async () => {
  const grid = new FakeGrid()
  const job = grid.job({}, (unit) => {
    if (unit === 3)
      return printed('', { outcome: 'exit', exitCode: 9, stderr: new TextEncoder().encode('no'), stderrLength: 2 })
    if (unit === 4) return printed('', { outcome: 'wall' })
    return unit >= 90 ? 'open' : unit === 5 ? 'held' : printed('x')
  })
  const { answers, summary } = await readAll(grid, job)
  const failed = answers.filter(({ state }) => state === 'failed')
  assert.equal(
    failed.map(({ unit, outcome }) => [unit, outcome]),
    [
      [3, 'exit'],
      [4, 'wall'],
    ],
  )
  assert.match(failed[0]!.reason, /exit code 9/)
  assert.is(new TextDecoder().decode(failed[0]!.output!.stderr), 'no')
  assert.is(summary.failed, 2)
  assert.equal(summary.missing, [
    {
      reason: 'open',
      count: 11,
      units: [
        { first: 5, count: 1 },
        { first: 90, count: 10 },
      ],
    },
  ])
})

honest('large outputs are fetched and checked', async () => {
  const grid = new FakeGrid()
  const big = new Uint8Array(600_000).fill(7)
  const { answers } = await readAll(
    grid,
    grid.job({ source: { type: 'count', count: 20 } }, () => printed(big)),
  )
  assert.is(answers.length, 20)
  assert.ok(answers.every(({ output }) => output!.stdout.length === big.length))
})

honest('outputs come from whoever said that they are settled: nobody is looked for again', async () => {
  const grid = new FakeGrid()
  const { owners } = grid.overlay
  let lookups = 0
  grid.overlay.owners = (key, count) => {
    lookups++
    return owners(key, count)
  }
  const lookupsFor = async (stdout: Uint8Array) => {
    lookups = 0
    await readAll(
      grid,
      grid.job({ source: { type: 'count', count: 20 } }, () => printed(stdout)),
    )
    return lookups
  }
  assert.is(await lookupsFor(new Uint8Array(10_000)), await lookupsFor(new Uint8Array(10)))
})

honest('what the caller has already is proved but not fetched', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 20 } }, () => printed(new Uint8Array(10_000)))
  const { answers, summary } = await readAll(grid, job, { skip: (unit) => unit !== 5 })
  assert.equal(
    answers.filter(({ output }) => output !== undefined).map(({ unit }) => unit),
    [5],
  )
  assert.is(summary.skipped, 19)
  assert.is(grid.network.log.filter((line) => line.includes('Jobs/Output')).length, 1)
})

for (const order of ['unit', 'settled'] as const) {
  honest(`following gives units as they settle, until the job has finished (order: ${order})`, async () => {
    const grid = new FakeGrid()
    let settled = 10
    const job = grid.job({ policy: { type: 'none' } }, (unit) => (unit < settled ? printed(`${unit}`) : 'open'))
    const fresh = grid.job({ policy: { type: 'none' }, nonce: '01'.repeat(16) }, (unit) =>
      unit < settled ? printed(`${unit}`) : 'open',
    )
    assert.is.not(job.jobId, fresh.jobId)
    const reader = new ResultsReader(grid.client, await grid.client.job(fresh.jobId), { follow: true, order })
    const seen: number[] = []
    const read = async () => {
      for await (const { unit } of reader) {
        seen.push(unit)
        if (seen.length === 10) {
          settled = 100
          fresh.facts = (shard, owner) => {
            const kept = fresh.kept(shard)
            const facts = []
            for (let at = 0; at < kept.length; at += 50)
              facts.push(factBy(fresh, shard, kept.slice(at, at + 50), donors[0]!, owner, 0))
            return facts
          }
          grid.peers[0]!.notify()
        }
      }
    }
    await deadline(read(), LIMIT_MS, 'following')
    assert.equal(
      seen.toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, unit) => unit),
    )
    assert.is(reader.summary.missingCount, 0)
  })
}

honest('following ends when the job is cancelled, and says what is missing', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 30 } }, (unit) => (unit < 10 ? printed('x') : 'open'))
  const known = await grid.client.job(job.jobId)
  const reader = new ResultsReader(grid.client, known, { follow: true })
  const read = async () => {
    let count = 0
    for await (const _ of reader) {
      if (++count < 10) continue
      await cancelJob(grid.client, job.jobId)
    }
  }
  await deadline(read(), LIMIT_MS, 'the end of a cancelled job')
  assert.is(reader.summary.done, 10)
  assert.is(reader.summary.missingCount, 20)
})

honest('results are refused to strangers', async () => {
  const grid = new FakeGrid()
  const job = grid.job()
  const stranger = grid.clientOf(createIdentity())
  const reader = new ResultsReader(stranger, await stranger.job(job.jobId))
  const read = async () => {
    for await (const _ of reader);
  }
  await rejects(deadline(read(), LIMIT_MS, 'the refusal'), 'forbidden')
})

honest('a reader that leaves early lets go of everything', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 500 } }, () => printed(new Uint8Array(5_000)))
  const reader = new ResultsReader(grid.client, await grid.client.job(job.jobId))
  const read = async () => {
    for await (const { unit } of reader) {
      assert.ok(grid.network.openStreams > 0)
      if (unit === 3) break
    }
  }
  await deadline(read(), LIMIT_MS, 'leaving')
  await eventually(() => grid.network.openStreams === 0, LIMIT_MS, 'no stream is left')
})

honest('100,000 units of quorum 1 are proved within seconds of processor time', async () => {
  const grid = new FakeGrid()
  const job = grid.job(
    { source: { type: 'count', count: 100_000 }, policy: { type: 'none' }, shardUnits: 16_384 },
    (unit) => printed(`${unit}`),
  )
  for (let shard = 0; shard < 7; shard++) job.facts(shard, grid.peers[0]!.identity)
  // The fake owner computes digests anew for each look at a unit; that is not what is measured.
  for (let shard = 0; shard < 7; shard++) {
    const kept = job.kept(shard)
    const before = job.kept.bind(job)
    job.kept = (asked) => (asked === shard ? kept : before(asked))
  }
  const before = cpuMs()
  const { answers, summary } = await readAll(grid, job, {}, 5 * LIMIT_MS)
  const seconds = (cpuMs() - before) / 1_000
  assert.is(answers.length, 100_000)
  assert.is(summary.reports, 1_563)
  assert.ok(seconds < 10, `took ${seconds} s`)
})

honest('200 outputs of 1 MiB pass through in bounded memory', async () => {
  const grid = new FakeGrid()
  const big = new Uint8Array(2 ** 20)
  const job = grid.job({ source: { type: 'count', count: 200 }, shardUnits: 256 }, () => printed(big))
  const kept = job.kept(0).map((entry, i, all) => (i === 0 ? entry : { ...entry, encoded: all[0]!.encoded }))
  job.kept = () => kept
  job.keptOf = (unit) => kept[unit]
  const reader = new ResultsReader(grid.client, await grid.client.job(job.jobId), {})
  // Outputs lie outside the heap. What nobody holds any more is collected first: else it would depend on when that happens.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  let count = 0
  for await (const { output } of reader) {
    assert.is(output!.stdout.length, big.length)
    if (++count % 50 !== 0) continue
    collect()
    collect()
    most = Math.max(most, process.memoryUsage().arrayBuffers)
  }
  assert.is(count, 200)
  assert.ok(most - before < 60 * 2 ** 20, `${before >> 20} to ${most >> 20} MiB in use`)
})

honest.run()

const lying = suite('ResultsReader, lying owners')

lying('a wrong digest is not believed', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 30 } })
  grid.peers[0]!.lies = {
    reply: (reply) => ({
      ...reply,
      settled: reply.settled.map((unit) => (unit.unit === 4 ? { ...unit, digest: 'ab'.repeat(32) as never } : unit)),
    }),
  }
  const { answers, summary } = await readAll(grid, job)
  assert.not.ok(answers.some(({ unit }) => unit === 4))
  assert.is(answers.length, 29)
  assert.equal(summary.missing, [{ reason: 'unproved', count: 1, units: [{ first: 4, count: 1 }] }])
  assert.is(summary.problems[0]!.type, 'unproved')
  assert.is(summary.problems[0]!.reason, 'otherResult')
})

lying('a result without enough reports is not believed', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 30 } })
  grid.peers[0]!.lies = { reply: (reply) => ({ ...reply, facts: reply.facts.slice(0, 1) }) }
  const { answers, summary } = await readAll(grid, job)
  assert.is(answers.length, 0)
  assert.is(summary.missing[0]!.reason, 'unproved')
  assert.is(summary.problems[0]!.reason, 'open')
})

lying('a forged signature, and a report without its grant, count for nothing', async () => {
  const forged = (reply: ResultsReply): ResultsReply => ({
    ...reply,
    facts: reply.facts.map(({ report, grants }) => ({
      grants,
      report: { ...report, signature: new Uint8Array(64).fill(1) },
    })),
  })
  const ungranted = (reply: ResultsReply): ResultsReply => {
    const stranger = createIdentity()
    return {
      ...reply,
      facts: reply.facts.map(({ report, grants }) => ({
        report,
        grants: grants.map(({ bytes }) => ({ bytes, signature: stranger.signer.sign('grant', bytes) })),
      })),
    }
  }
  for (const [lie, reason] of [
    [forged, 'reportSignature'],
    [ungranted, 'grantSignature'],
  ] as const) {
    const grid = new FakeGrid()
    const job = grid.job({ source: { type: 'count', count: 500 }, shardUnits: 512 })
    grid.peers[0]!.lies = { reply: lie }
    const { answers, summary } = await readAll(grid, job)
    assert.is(answers.length, 0)
    assert.ok(summary.voidFacts > 0)
    assert.ok(summary.problems.some((problem) => problem.type === 'voidFact' && problem.reason === reason))
  }
})

for (const size of [10, 10_000]) {
  lying(`changed bytes are noticed, and fetched from another owner (${size} bytes)`, async () => {
    const grid = new FakeGrid(2)
    const job = grid.job({ source: { type: 'count', count: 20 } }, () => printed(new Uint8Array(size)))
    const spoil = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))
    for (const peer of grid.peers) {
      const others = grid.peers.filter((other) => other !== peer)
      for (const other of others) other.lies = {}
      peer.lies = {
        output: spoil,
        reply: (reply) => ({
          ...reply,
          settled: reply.settled.map((unit) => (unit.output ? { ...unit, output: spoil(unit.output) } : unit)),
        }),
      }
      const { answers, summary } = await readAll(grid, job)
      assert.is(answers.length, 20)
      assert.ok(answers.every(({ output }) => output!.stdout.every((byte) => byte === 0)))
      assert.is(summary.missingCount, 0)
    }
  })
}

lying('bytes that nobody has right are missing', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 3 } }, () => printed(new Uint8Array(10_000)))
  grid.peers[0]!.lies = { output: (bytes, unit) => (unit === 1 ? bytes.subarray(1) : bytes) }
  const { answers, summary } = await readAll(grid, job)
  assert.equal(
    answers.map(({ unit }) => unit),
    [0, 2],
  )
  assert.equal(summary.missing, [{ reason: 'bytes', count: 1, units: [{ first: 1, count: 1 }] }])
  assert.is(summary.problems[0]!.type, 'wrongBytes')
})

lying.run()

const failing = suite('ResultsReader, owners that fail')

failing('another owner takes over in the middle of a shard', async () => {
  const grid = new FakeGrid(2)
  const job = grid.job({ source: { type: 'count', count: 2_000 }, shardUnits: 2_048 })
  for (const peer of grid.peers) peer.lies = { breakAfter: 4 }
  const { answers, summary } = await readAll(grid, job)
  assert.equal(
    answers.map(({ unit }) => unit),
    Array.from({ length: 2_000 }, (_, unit) => unit),
  )
  assert.is(summary.missingCount, 0)
  assert.ok(summary.problems.some(({ type }) => type === 'unreachable'))
})

failing('an owner that knows nothing leaves the word to the next', async () => {
  const grid = new FakeGrid(3)
  const job = grid.job()
  grid.peers[0]!.lies = { knowsNothing: true }
  grid.peers[1]!.lies = { knowsNothing: true }
  const { answers } = await readAll(grid, job)
  assert.is(answers.length, 100)
})

failing('one lying owner of two cannot hide what the other proves', async () => {
  const grid = new FakeGrid(2)
  const job = grid.job()
  for (const liar of grid.peers) {
    for (const peer of grid.peers) peer.lies = {}
    liar.lies = { reply: (reply) => ({ ...reply, facts: [] }) }
    const { answers, summary } = await readAll(grid, job)
    assert.is(answers.length, 100)
    assert.is(summary.missingCount, 0)
  }
})

failing.run()

const pinned = suite('pins')

pinned('a result that changes between two fetches is reported', async () => {
  const grid = new FakeGrid()
  const pins = new Pins(memoryDisk())
  const job = grid.job({ source: { type: 'count', count: 10 } }, (unit) => printed(`${unit}`))
  await readAll(grid, job, { pins })
  const again = await readAll(grid, job, { pins })
  assert.equal(again.summary.overturned, [])
  const facts = job.facts(0, grid.peers[0]!.identity)
  job.computed = (unit) => printed(unit === 3 ? 'other' : `${unit}`)
  const kept = job.kept(0)
  job.facts = () => donors.slice(0, 2).map((donor) => factBy(job, 0, kept, donor, grid.peers[0]!.identity, 0))
  const { summary } = await readAll(grid, job, { pins })
  assert.is(summary.overturned.length, 1)
  assert.is(summary.overturned[0]!.unit, 3)
  assert.ok(summary.overturned[0]!.now !== undefined && summary.overturned[0]!.now !== summary.overturned[0]!.pinned)
  // Both answers of both donors in one place cancel out: the pinned result is proved no more.
  const both = [...facts, ...job.facts(0, grid.peers[0]!.identity)]
  job.facts = () => both
  const disputed = await readAll(grid, job, { pins: pins })
  assert.ok(disputed.summary.missing.some(({ units }) => units.some(({ first }) => first === 3)))
})

pinned('pins survive a torn write', async () => {
  const disk = memoryDisk()
  const pins = new Pins(disk)
  const jobId = 'aa'.repeat(32) as never
  const shard = await pins.open(jobId, 0)
  shard.add(1, 'bb'.repeat(32) as never)
  shard.add(2, 'cc'.repeat(32) as never)
  await shard.save()
  const file = `pins/${jobId}/0.pins`
  await disk.write(file, (await disk.read(file))!.slice(0, 50))
  const again = await pins.open(jobId, 0)
  assert.is(again.get(1), 'bb'.repeat(32))
  assert.is(again.get(2), undefined)
  again.add(2, 'dd'.repeat(32) as never)
  await again.save()
  assert.is((await pins.open(jobId, 0)).get(2), 'dd'.repeat(32))
  await pins.forget(jobId)
  assert.is((await pins.open(jobId, 0)).get(1), undefined)
})

pinned.run()
