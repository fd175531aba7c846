import { digestOutput, isDeterministic } from '../../job/facts/digest.js'
import { unitOutputCodec } from '../../proto/codec/facts.js'
import { ENCODED_OUTPUT_BYTES_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { Digest, Outcome, UnitOutput } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { Endpoint } from '../../runtime/transport.js'
import { aborted, type GridClient, type KnownJob } from './session.js'

/** Longest silence while an output is fetched. */
const IDLE_MS: Millis = 30_000
/** Rounds over all owners before an output counts as out of reach, and the pause between them. */
const ROUNDS_MAX = 3
const RETRY_MS: Millis = 500
const NOTHING = new Uint8Array(0)

/** A unit whose result is proved and whose bytes are wanted. */
interface WantedOutput {
  readonly shard: number
  readonly unit: number
  readonly digest: Digest
  readonly outcome: Outcome
  /** As its donors say; a hint, not believed. */
  readonly outputBytes: number
}

/** Encoded output as {@link UnitOutput} if it has the digest, else undefined. Outcomes without bytes have empty output. */
export function openOutput(
  sha256: Sha256,
  bytes: Uint8Array,
  wanted: Pick<WantedOutput, 'digest' | 'outcome'>,
): UnitOutput | undefined {
  if (!isDeterministic(wanted.outcome)) return emptyOutput(wanted.outcome)
  try {
    const output = unitOutputCodec.decode(bytes)
    return digestOutput(sha256, output) === wanted.digest ? output : undefined
  } catch {
    return undefined
  }
}

/** What stands for the output of an outcome that has none. */
export function emptyOutput(outcome: Outcome): UnitOutput {
  return { outcome, exitCode: 0, stdout: NOTHING, stderr: NOTHING, stderrLength: 0, files: [] }
}

/**
 * Fetches one output from whoever of the shard's owners has it, `first` before the others, and checks its digest. `onWrong`
 * hears of owners that sent other bytes; they are not asked again. Rejects with GridError: `corrupt` when owners had only
 * wrong bytes, else what the last one said.
 */
export async function fetchOutput(
  client: GridClient,
  job: KnownJob,
  wanted: WantedOutput,
  first: Endpoint | undefined,
  { onWrong, signal }: { readonly onWrong?: (owner: Endpoint) => void; readonly signal?: AbortSignal } = {},
): Promise<UnitOutput> {
  const { clock, sha256 } = client.parts
  const liars = new Set<string>()
  let failure = new GridError('notFound', `nobody is known who has the output of unit ${wanted.unit}`)
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await pause(clock, RETRY_MS * 2 ** (round - 1), signal)
    for await (const owner of ownersToAsk(client, job, wanted, round === 0 ? first : undefined)) {
      if (liars.has(owner.nodeId)) continue
      if (signal?.aborted) throw aborted()
      try {
        const output = openOutput(sha256, await fetchFrom(client, job, wanted, owner, signal), wanted)
        if (output !== undefined) return output
        liars.add(owner.nodeId)
        onWrong?.(owner)
        failure = new GridError(
          'corrupt',
          `the bytes sent for unit ${wanted.unit} do not have the digest its donors agreed on`,
          {
            fields: { unit: wanted.unit, owner: owner.nodeId },
          },
        )
      } catch (error) {
        const next = toGridError(error)
        // That somebody sent wrong bytes tells more than that another has none.
        if (failure.code !== 'corrupt') failure = next
      }
    }
    if (!failure.retryable) break
  }
  if (signal?.aborted) throw aborted()
  throw failure
}

/** `first`, then the shard's owners: finding them takes messages of its own, and is seldom needed. */
async function* ownersToAsk(
  client: GridClient,
  { jobId }: KnownJob,
  { shard }: WantedOutput,
  first: Endpoint | undefined,
): AsyncGenerator<Endpoint, void, undefined> {
  if (first !== undefined) yield first
  for (const owner of await client.shardOwners(jobId, shard).catch(() => []))
    if (owner.nodeId !== first?.nodeId) yield owner
}

async function fetchFrom(
  { parts }: GridClient,
  { jobId, spec }: KnownJob,
  { shard, unit, digest, outputBytes }: WantedOutput,
  owner: Endpoint,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { limits } = spec
  // Names and lengths come on top of what the limits count; no honest output is larger.
  const bytesMax = Math.min(ENCODED_OUTPUT_BYTES_MAX, limits.outputBytes + limits.stderrBytes + ENCODED_OVERHEAD_BYTES)
  // One buffer of the size to be expected: joining pieces would double what is in memory.
  let joined = new Uint8Array(Math.min(outputBytes, bytesMax))
  let size = 0
  const stream = parts.transport.open(owner, methods.output, signal)
  stream.send({ jobId, shard, unit, digest })
  stream.end()
  await consume(stream, { clock: parts.clock, idleMs: IDLE_MS, until: 'close' }, ({ bytes }) => {
    if (size + bytes.length > bytesMax) {
      throw new GridError('corrupt', `the output of unit ${unit} is larger than its job allows`)
    }
    if (size + bytes.length > joined.length) {
      const larger = new Uint8Array(Math.min(bytesMax, Math.max(2 * joined.length, size + bytes.length)))
      larger.set(joined.subarray(0, size))
      joined = larger
    }
    joined.set(bytes, size)
    size += bytes.length
  })
  return joined.subarray(0, size)
}

/** Most that names of 1,024 files and lengths add to an output. Unit: bytes. */
const ENCODED_OVERHEAD_BYTES = 2 * 1024 * 1024
