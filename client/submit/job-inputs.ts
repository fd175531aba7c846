import { keyOfDigest } from '../../overlay/index.js'
import type { BlobRef, Digest, JobId, JobSpec } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { releaseBlob } from '../../storage/blob-client.js'
import { fetchContent, fetchedContent } from '../session/fetched-content.js'
import type { AskOptions, GridClient } from '../session/session.js'
import { BLOB_HOLDERS, uploadContent } from './submit.js'

/** Jobs asked for their inputs at a time, and how long one may take. */
const ASKED_AT_ONCE = 16
const ASK_MS = 2_500

/** Every blob that units of a job need: module, shared inputs, list and index; each once. */
function inputsOf({ task, inputs, source }: JobSpec): readonly BlobRef[] {
  const blobs = [
    ...(task.type === 'module' ? [task.module] : []),
    ...inputs.map(({ blob }) => blob),
    ...(source.type === 'list' ? [source.items, source.index] : []),
  ]
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
}

/**
 * Has the inputs of a job kept until `keepUntilMs` by the peers that are to have them now, which get from others what they
 * lack. Rejects with GridError `expired` when an input is nowhere any more, else as `uploadContent`.
 */
export async function extendInputs(
  client: GridClient,
  spec: JobSpec,
  keepUntilMs: number,
  { signal }: Pick<AskOptions, 'signal'> = {},
): Promise<void> {
  const options = signal ? { signal } : {}
  for (const blob of inputsOf(spec)) {
    const label = `input ${blob.digest.slice(0, 12)}`
    try {
      const chunkHashes = await fetchContent(client, blob, () => {}, { ...options, chunks: [] })
      const { content } = fetchedContent(client, blob, label, options)
      await uploadContent(client, { blob, chunkHashes, content, label }, keepUntilMs, options)
    } catch (error) {
      if (toGridError(error).code !== 'notFound') throw error
      throw new GridError('expired', `an input of the job is kept by nobody any more (${label})`, {
        cause: error,
        hint: 'submit the job anew',
      })
    }
  }
}

/**
 * Lets the holders drop the inputs of a job, except those that other jobs need. A holder keeps what another key has stored
 * as well; one that cannot be reached keeps it until the job would have expired.
 * @returns blobs let go, and bytes of them
 */
export async function releaseInputs(
  client: GridClient,
  spec: JobSpec,
  others: readonly JobId[],
): Promise<{ readonly blobs: number; readonly bytes: number }> {
  const blobs = inputsOf(spec)
  if (blobs.length === 0) return { blobs: 0, bytes: 0 }
  const needed = await inputsOfJobs(client, others)
  const unneeded = blobs.filter(({ digest }) => !needed.has(digest))
  const { overlay, transport, clock, logger } = client.parts
  for (const blob of unneeded) {
    const holders = await overlay.owners(keyOfDigest(blob.digest), BLOB_HOLDERS)
    const outcomes = await Promise.allSettled(holders.map((holder) => releaseBlob(transport, holder, blob, { clock })))
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        logger.debug('input not let go', { digest: blob.digest, reason: toGridError(outcome.reason).message })
  }
  return { blobs: unneeded.length, bytes: unneeded.reduce((sum, { size }) => sum + size, 0) }
}

/** Inputs of those of the jobs that their homes still know. Rejects when one cannot be asked: what it needs is not known. */
async function inputsOfJobs(client: GridClient, jobIds: readonly JobId[]): Promise<ReadonlySet<Digest>> {
  const needed = new Set<Digest>()
  for (let at = 0; at < jobIds.length; at += ASKED_AT_ONCE) {
    await Promise.all(
      jobIds.slice(at, at + ASKED_AT_ONCE).map(async (jobId) => {
        try {
          const { spec, view } = await client.job(jobId, { deadlineMs: ASK_MS })
          if (!view.removed) for (const { digest } of inputsOf(spec)) needed.add(digest)
        } catch (error) {
          const { code } = toGridError(error)
          if (code !== 'notFound' && code !== 'expired') throw error
        }
      }),
    )
  }
  return needed
}
