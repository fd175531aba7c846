import { jobIdOf } from '../../job/spec/spec.js'
import { keyOfDigest } from '../../overlay/index.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { methods } from '../../proto/methods.js'
import type { JobId, JobSpec, NodeId, Signed } from '../../proto/model.js'
import type { Millis, Timer } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Endpoint } from '../../runtime/transport.js'
import { uploadBlob } from '../../storage/blob-client.js'
import { type BlobContent, readChunk } from '../content/content.js'
import type { GridClient } from '../session/session.js'
import type { BuiltJob } from './job-builder.js'
import type { JobList } from './job-list.js'
import { addJobRecord } from './job-records.js'

/** How far the upload of one file is. */
export interface UploadProgress {
  /** What is being uploaded, as the builder called it. */
  readonly label: string
  readonly doneBytes: number
  readonly totalBytes: number
}

/** Whom `submit` tells what it does, and where it notes the job. */
export interface SubmitOptions {
  readonly onUpload?: (progress: UploadProgress) => void
  /** Remembers the job on this machine. */
  readonly list?: JobList
  /** Task and source for people, kept in the list. */
  readonly summary?: string
  /** Told the id when the inputs are there and the spec is sent: from here on the grid may have the job, whatever follows. */
  readonly onSending?: (jobId: JobId) => void
  readonly signal?: AbortSignal
  /** For reaching the home, uploads not counted. Default 15 s. */
  readonly deadlineMs?: Millis
}

/** A job that the grid has, as far as its homes acknowledged it. */
export interface SubmittedJob {
  readonly jobId: JobId
  readonly signed: Signed
  /** Nodes that have the spec on disk, and how many make it durable. */
  readonly holders: readonly NodeId[]
  readonly wanted: number
  /** Further peers around the job that keep it against lying homes; 0 on networks of less than 64 peers. */
  readonly guards: number
  /** The submitter's list in the network holds it, so that other machines with the key find it. */
  readonly listed: boolean
}

/** Copies of an input that are wanted, where there are as many peers. */
export const BLOB_HOLDERS = 3
/**
 * Once a copy is stored, others are waited for as long as they get further; one that does not for so long is given up. Its peer
 * may have stopped: with all its attempts that would take two minutes. Unit: ms.
 */
const COPY_IDLE_MS: Millis = 10_000

/** Signs a spec as this client. */
export function signSpec(client: GridClient, spec: JobSpec): { readonly jobId: JobId; readonly signed: Signed } {
  const { signer, sha256 } = client.parts
  if (spec.submitter !== signer.publicKey)
    throw new GridError('forbidden', 'the spec names another submitter than the key at hand')
  const bytes = jobSpecCodec.encode(spec)
  return { jobId: jobIdOf(sha256, bytes), signed: { bytes, signature: signer.sign('spec', bytes) } }
}

/**
 * Uploads the blobs of a job, then gives the signed spec to its home. It resolves once the home has it on disk. Repeating it
 * after a failure is harmless with the same built job: it is the same spec, hence the same job. Rejects with GridError:
 * `unreachable` when no peer is there, `quota` when one refuses for a limit, or what the home refused.
 */
export async function submitJob(
  client: GridClient,
  built: BuiltJob,
  options: SubmitOptions = {},
): Promise<SubmittedJob> {
  const { spec, blobs } = built
  const { jobId, signed } = signSpec(client, spec)
  for (const blob of blobs) await uploadContent(client, blob, spec.expiresAtMs, options)
  const { list, summary = '', deadlineMs, signal } = options
  const found = client.guards(jobId)
  options.onSending?.(jobId)
  const reply = await client.askHome(
    jobId,
    methods.submit,
    { spec: signed },
    { ...(deadlineMs === undefined ? {} : { deadlineMs }), ...(signal ? { signal } : {}) },
  )
  if (reply.jobId !== jobId) throw new GridError('corrupt', 'the home answered for another job')
  await list?.add({
    jobId,
    name: spec.name,
    task: summary,
    createdAtMs: spec.createdAtMs,
    units: built.units,
    parent: spec.parent,
  })
  const [listed, guards] = await Promise.all([
    listInNetwork(client, jobId),
    client.tellGuards(found, { spec: signed, orders: [] }),
  ])
  return { jobId, signed, holders: reply.holders, wanted: reply.wanted, guards, listed }
}

/** A job that cannot be listed is a job all the same. */
async function listInNetwork({ parts }: GridClient, jobId: JobId): Promise<boolean> {
  try {
    return (await addJobRecord(parts.overlay, parts.sha256, parts.signer.publicKey, jobId)) > 0
  } catch (error) {
    parts.logger.warn('job not listed in the network', { jobId, reason: toGridError(error).message })
    return false
  }
}

/**
 * Stores a blob at the peers closest to its digest: three where there are as many, one at least. Copies after the first
 * travel at the same time. Resolves to the holders. Rejects with GridError when no peer took it.
 */
export async function uploadContent(
  client: GridClient,
  content: BlobContent,
  keepUntilMs: number,
  { onUpload, signal }: Pick<SubmitOptions, 'onUpload' | 'signal'> = {},
): Promise<readonly NodeId[]> {
  const { overlay, transport, clock, logger } = client.parts
  const { blob, label } = content
  const key = keyOfDigest(blob.digest)
  const pending = new Map<Endpoint, { readonly abort: AbortController; timer?: Timer }>()
  let isStored = false
  const wait = (peer: Endpoint) => {
    const copy = pending.get(peer)
    copy?.timer?.cancel()
    if (copy && isStored) copy.timer = clock.setTimer(COPY_IDLE_MS, () => copy.abort.abort())
  }
  const upload = async (peer: Endpoint, index: number) => {
    const abort = new AbortController()
    const onAbort = () => abort.abort()
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort)
    pending.set(peer, { abort })
    try {
      const holder = await uploadBlob(
        transport,
        peer,
        blob,
        content.chunkHashes,
        (chunk) => readChunk(content, chunk),
        {
          clock,
          keepUntilMs,
          signal: abort.signal,
          onProgress: (doneBytes, totalBytes) => {
            wait(peer)
            // The copy that is ahead would make the bar jump: the first one stands for all.
            if (index === 0) onUpload?.({ label, doneBytes, totalBytes })
          },
        },
      )
      isStored = true
      for (const other of pending.keys()) wait(other)
      return holder
    } finally {
      pending.get(peer)?.timer?.cancel()
      pending.delete(peer)
      signal?.removeEventListener('abort', onAbort)
    }
  }
  let peers: readonly Endpoint[] = []
  await client.askAny(
    async () => {
      peers = await overlay.owners(key, BLOB_HOLDERS)
      return peers
    },
    async () => true,
    { what: label, ...(signal ? { signal } : {}) },
  )
  const outcomes = await Promise.allSettled(peers.map(upload))
  const holders: NodeId[] = []
  let failure: GridError | undefined
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') holders.push(outcome.value)
    else failure = toGridError(outcome.reason)
  }
  if (holders.length === 0) throw failure ?? new GridError('unreachable', `no peer is there to keep ${label}`)
  if (failure) logger.warn('copy of a blob not stored', { blob: blob.digest, label, reason: failure.message })
  return holders
}
