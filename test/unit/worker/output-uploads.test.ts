import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OwnerEvent } from '../../../coordinator/owner/core/messages.js'
import { OutputIntake } from '../../../coordinator/owner/output-intake.js'
import { digestOutput } from '../../../job/facts/digest.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, JobId } from '../../../proto/model.js'
import type { Clock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { silentLogger } from '../../../runtime/logger.js'
import { OutputUploads } from '../../../worker/output-uploads.js'
import type { Host } from '../../simulation/world/host.js'
import { World } from '../../simulation/world/world.js'

const JOB = 'a'.repeat(64) as JobId
const KIB = 1_024

/** An encoded output of about so many bytes, with its digest. */
function outputOf(bytes: number): { readonly digest: Digest; readonly encoded: Uint8Array } {
  const stdout = new Uint8Array(bytes)
  const output = {
    outcome: 'done',
    exitCode: 0,
    stdout,
    stderr: stdout.subarray(0, 0),
    stderrLength: 0,
    files: [],
  } as const
  return { digest: digestOutput(sha256, output), encoded: unitOutputCodec.encode(output) }
}

/**
 * A worker behind an uplink of so many bytes a second, with the output of every unit of a job, and owners that want them.
 * `deaf` owners take an upload and read nothing of it.
 */
async function linked(uplinkBytesPerS: number, bytes: number, owners: readonly { readonly deaf: boolean }[]) {
  const world = new World(1)
  const output = outputOf(bytes)
  const events: { readonly event: OwnerEvent; readonly atMs: number }[] = []
  const kept: number[] = []
  const hosts: Host[] = owners.map(({ deaf }, index) => {
    const host = world.addHost(`owner ${index}`)
    host.start(({ transport, clock }) => {
      const record = { judgement: { digest: output.digest, outputBytes: output.encoded.length }, kept: [] }
      const intake = new OutputIntake({
        clock,
        sha256,
        core: { shard: () => ({ record: () => record }) },
        handle: (event: OwnerEvent) => events.push({ event, atMs: clock.now() }),
        options: { receivingBytesMax: 256 * KIB * KIB, deleteAfterMs: 0 },
        book: { need: () => ({ spec: {}, expiresAtMs: 0 }) },
        outputs: { keep: async () => void kept.push(index) },
        commits: { commit: async () => {} },
        exchange: { outputKept: () => {} },
      } as never)
      transport.handleStream(methods.putOutput, (stream) => {
        if (!deaf) return intake.onPutOutput(stream)
        stream.pause(true)
        stream.onMessage(() => {})
        stream.onClose(() => {})
      })
    })
    return host
  })
  let uploads: OutputUploads | undefined
  const timers = new Set<object>()
  world.addHost('worker', { reachable: false, uplinkBytesPerS }).start(({ transport, clock }) => {
    const setTimer: Clock['setTimer'] = (delayMs, action) => {
      const over = () => timers.delete(timer)
      const inner = clock.setTimer(delayMs, () => {
        over()
        action()
      })
      const timer = {
        cancel: () => {
          over()
          inner.cancel()
        },
      }
      timers.add(timer)
      return timer
    }
    uploads = new OutputUploads({
      clock: { now: () => clock.now(), wallMs: () => clock.wallMs(), setTimer },
      logger: silentLogger,
      transport,
      endpoint: (owner) => {
        const host = hosts.find(({ caller }) => caller.nodeId === owner)!
        return { nodeId: owner, address: host.address }
      },
      output: () => output.encoded,
    })
  })
  await world.run(() => uploads !== undefined)
  const ask = (owner: number, unit: number) =>
    uploads!.ask(hosts[owner]!.caller.nodeId, { type: 'fetch', jobId: JOB, shard: 0, unit, digest: output.digest })
  return { world, ask, kept, events, timers, uploads: uploads! }
}

const uploads = suite('OutputUploads')

uploads('an output that takes minutes arrives, and its owner hears that it comes nearer', async () => {
  const { world, ask, kept, events } = await linked(30 * KIB, 4 * KIB * KIB, [{ deaf: false }])
  ask(0, 7)
  await world.run(() => kept.length === 1, 200_000)
  assert.ok(world.nowMs > 120_000, 'it takes minutes')
  const moves = events.filter(({ event }) => event.type === 'outputMoved').map(({ atMs }) => atMs)
  const longestMs = Math.max(...moves.map((atMs, i) => atMs - (moves[i - 1] ?? 0)))
  assert.ok(longestMs < 15_000, `${longestMs} ms without news`)
  assert.not(events.some(({ event }) => event.type === 'outputFetchFailed'))
  world.close()
})

uploads('an owner that reads nothing is given up, and outputs for others are not held up', async () => {
  const { world, ask, kept } = await linked(1_000 * KIB, 1_000 * KIB, [{ deaf: true }, { deaf: false }])
  ask(0, 1)
  // The same output for an owner that reads it, while the other has its time; and however many the other asks for.
  for (let unit = 2; unit < 6_000; unit++) ask(0, unit)
  ask(1, 1)
  await world.run(() => kept.length === 1, 10_000)
  assert.equal(kept, [1])
  ask(1, 6_000)
  await world.run(() => kept.length === 2, 10_000)
  world.close()
})

uploads('outputs go to an owner one after the other', async () => {
  const { world, ask, kept, events } = await linked(100 * KIB, 1_000 * KIB, [{ deaf: false }])
  for (const unit of [1, 2, 3]) ask(0, unit)
  await world.run(() => kept.length === 3, 60_000)
  const moved = events.flatMap(({ event }) => (event.type === 'outputMoved' ? [event.unit] : []))
  assert.equal(moved, [...moved].sort(), 'the first is there before the second begins')
  world.close()
})

uploads('end with the worker, however slow they are held, and leave no timer behind', async () => {
  const { world, ask, kept, timers, uploads } = await linked(1_000 * KIB, 1_000 * KIB, [{ deaf: false }])
  uploads.rate.set(KIB)
  for (const unit of [1, 2, 3]) ask(0, unit)
  await world.run(() => world.nowMs > 5_000)
  assert.ok(timers.size > 0)
  uploads.close()
  uploads.close()
  const closedAtMs = world.nowMs
  await world.run(() => world.nowMs > closedAtMs + 1_000)
  assert.is(timers.size, 0)
  ask(0, 4)
  await world.run(() => world.nowMs > closedAtMs + 10_000)
  assert.is(timers.size, 0)
  assert.equal(kept, [])
  world.close()
})

uploads.run()
