import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ResultsReader, type UnitAnswer } from '../../client/index.js'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { healthCheck } from '../../overlay/channel/health.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import type { GridProcess } from '../../process/compose.js'
import type { JobId } from '../../proto/model.js'
import { deadline } from '../support/deadline.js'
import { Attack, type Target } from '../support/hostile/attack.js'
import { brokenFrames, quickResets } from '../support/hostile/frames.js'
import { lyingContent, lyingJobs } from '../support/hostile/lies.js'
import { lyingWorkers } from '../support/hostile/workers.js'
import type { Health } from '../support/processes/grid-process.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { seededRandom } from '../support/seeded-random.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'

/** Mangled messages on each method. HOSTILE_MESSAGES and SEED repeat or deepen a run. */
const MESSAGES = Number(process.env.HOSTILE_MESSAGES ?? 200)
const SEED = Number(process.env.SEED ?? 1)
const UNITS = 400
const UNIT_MS = 40
/** What is alive after a collection hardly moves; what the system lends depends on when the engine gives it back. */
const HEAP_MAX = 64 * 2 ** 20
const RSS_GROWTH_MAX = 256 * 2 ** 20
const HEALTH_MS = 1_000

const grid = new ProcessGrid()
const test = suite('a peer under hostile bytes')
const honest = new GrpcTransport({ identity: createIdentity(), network: testNetwork })
let peer: GridMember
let client: GridProcess
let target: Target
let jobId: JobId
let results: Promise<UnitAnswer[]>
let rssBefore = 0

test.before(async () => {
  peer = await grid.peer()
  const address = peer.endpoint.address
  await Promise.all([grid.worker([address]), grid.worker([address])])
  client = await grid.client(address)
  const submitted = await grid.submitTrace(client, 'honest', { count: UNITS, ms: UNIT_MS, maxInstances: 100 })
  jobId = submitted.jobId
  const reader = new ResultsReader(submitted.grid, await submitted.grid.job(jobId), { order: 'settled', follow: true })
  results = (async () => {
    const answers: UnitAnswer[] = []
    for await (const answer of reader) answers.push(answer)
    return answers
  })()
  results.catch(() => {})
  await grid.until(() => grid.traces('honest').length > 20 || undefined, 15_000, 'the honest job runs')
  rssBefore = (await peer.process.ask<Health>('health')).rssBytes
  target = { endpoint: peer.endpoint, jobId, spec: (await submitted.grid.job(jobId)).signed }
})
test.after(async () => {
  await honest.close()
  await grid.close()
})

/** One attack; then the peer must be alive, well and quick. */
async function attackedBy(name: string, attack: (attack: Attack) => Promise<void>): Promise<void> {
  const began = performance.now()
  const attacker = new Attack(target, seededRandom(SEED))
  try {
    await deadline(attack(attacker), 60_000, name)
    const asked = performance.now()
    assert.is(await honest.call(target.endpoint, healthCheck, '', { deadlineMs: 10_000 }), 'serving')
    const healthMs = performance.now() - asked
    const { rssBytes, heapBytes, unhandled, errors } = await peer.process.ask<Health>('health')
    console.log(
      `${name}: ${attacker.sent} messages in ${((performance.now() - began) / 1000).toFixed(1)} s, ${attacker.summary()}; ` +
        `health ${healthMs.toFixed(0)} ms, memory +${((rssBytes - rssBefore) / 2 ** 20).toFixed(0)} MiB, heap ${(heapBytes / 2 ** 20).toFixed(0)} MiB`,
    )
    assert.is(peer.process.exited, undefined, 'the peer lives')
    assert.equal(unhandled, [], 'no rejection is unhandled')
    assert.equal(errors, [], 'nothing is logged as a fault of the peer')
    assert.equal(attacker.undocumented, [], 'every status is a documented one')
    assert.ok(healthMs < HEALTH_MS, `the peer answers within ${HEALTH_MS} ms, took ${healthMs}`)
    assert.ok(heapBytes < HEAP_MAX, `${heapBytes} bytes are alive`)
    assert.ok(rssBytes - rssBefore < RSS_GROWTH_MAX, `memory grew by ${rssBytes - rssBefore} bytes`)
  } catch (error) {
    console.log(`SEED=${SEED} HOSTILE_MESSAGES=${MESSAGES}\n${grid.processes.logs()}`)
    throw error
  } finally {
    await attacker.close()
  }
}

test('survives mangled messages on every unary method', () =>
  attackedBy('unary', (attack) => attack.mangledCalls(MESSAGES)))
test('survives mangled messages on every stream', () =>
  attackedBy('streams', (attack) => attack.mangledStreams(MESSAGES)))
test('survives half messages, lying frames, oversized messages and unknown methods', () =>
  attackedBy('frames', brokenFrames))
test('survives well-formed lies about jobs', () => attackedBy('jobs', lyingJobs))
test('survives well-formed lies of workers', () => attackedBy('workers', lyingWorkers))
test('survives lying blobs, foreign records and a flooded board', () => attackedBy('content', lyingContent))
test('survives streams that are reset at once and streams that never end', () =>
  attackedBy('resets', (attack) => quickResets(attack, MESSAGES)))

test('finishes the honest job with the right results all the while', async () => {
  const answers = await deadline(results, 40_000, `the honest job\n${grid.processes.logs()}`)
  assert.is(answers.length, UNITS)
  for (const { unit, state, output } of answers) {
    assert.is(state, 'done')
    assert.is(new TextDecoder().decode(output?.stdout).trim(), `honest ${unit}`)
  }
})

test.run()
