import { unitCount } from '../../job/units/unit-source.js'
import type { BlobRef, JobSpec, UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Compute } from '../../worker/compute/compute.js'
import type { UnitAnswer } from '../results/answer.js'
import { fetchContent, fetchedContent } from '../session/fetched-content.js'
import type { GridClient, KnownJob } from '../session/session.js'
import type { BuiltJob } from '../submit/job-builder.js'
import { runLocal } from './run-local.js'

/** A file that a fetched blob is written to. */
export interface FetchedFile {
  readonly path: string
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** All of it has come. */
  finish(): Promise<void>
}

/** Where what a replay needs is put on this machine while it lasts. */
export interface MaterialOptions {
  /** Where to put a module or a shared input. */
  readonly createFile: (blob: BlobRef) => Promise<FetchedFile>
  /** Told what is being fetched. */
  readonly onFetch?: (label: string, doneBytes: number, totalBytes: number) => void
  readonly signal?: AbortSignal
}

/** What units of somebody's job are computed from, on this machine. */
export interface ReplayMaterial {
  readonly built: BuiltJob
  readonly modulePath: string | undefined
  readonly inputPaths: readonly { readonly name: string; readonly path: string }[]
}

/** Program and shared inputs of a unit, above which it is not replayed: a stranger's spec may name anything. Unit: bytes. */
const FETCHED_BYTES_MAX = 8 * 2 ** 30

/** Throws GridError `quota` for a job whose program and shared inputs have more than 8 GiB. */
export function checkReplayBytes(spec: JobSpec): void {
  const bytes = blobsOf(spec).reduce((sum, { size }) => sum + size, 0)
  if (bytes > FETCHED_BYTES_MAX)
    throw new GridError('quota', `the inputs of the job have ${bytes} bytes, a replay at most ${FETCHED_BYTES_MAX}`)
}

/**
 * Fetches the module and the shared inputs that the spec names by digest; items of lists are read as units need them. Rejects
 * with GridError `quota` for more than 8 GiB, `notFound` or `unreachable` when one cannot be had, `closed` when aborted.
 */
export async function fetchMaterial(
  client: GridClient,
  { spec }: Pick<KnownJob, 'spec'>,
  { createFile, onFetch, signal }: MaterialOptions,
): Promise<ReplayMaterial> {
  checkReplayBytes(spec)
  const options = signal ? { signal } : {}
  const fetchFile = async (blob: BlobRef, label: string): Promise<string> => {
    const file = await createFile(blob)
    await fetchContent(client, blob, (offset, bytes) => file.write(offset, bytes), {
      onProgress: (done, total) => onFetch?.(label, done, total),
      ...options,
    })
    await file.finish()
    return file.path
  }
  const modulePath = spec.task.type === 'module' ? await fetchFile(spec.task.module, 'the program') : undefined
  const inputPaths: { readonly name: string; readonly path: string }[] = []
  for (const { name, blob } of spec.inputs) inputPaths.push({ name, path: await fetchFile(blob, `input ${name}`) })
  const { source } = spec
  const blobs =
    source.type === 'list'
      ? [
          fetchedContent(client, source.items, 'the list of items', options),
          fetchedContent(client, source.index, 'the index of the list', options),
        ]
      : []
  return { built: { spec, units: unitCount(spec), blobs }, modulePath, inputPaths }
}

/** Computes units here. Throws as `runLocal`. */
export function runMaterial(
  client: GridClient,
  { built, modulePath, inputPaths }: ReplayMaterial,
  compute: Compute,
  units: readonly UnitRange[],
  signal?: AbortSignal,
): AsyncGenerator<UnitAnswer, void, undefined> {
  return runLocal({
    built,
    compute,
    sha256: client.parts.sha256,
    inputPaths,
    ...(modulePath === undefined ? {} : { modulePath }),
    units,
    ...(signal ? { signal } : {}),
  })
}

/** What has to be fetched whole before a unit can run. */
function blobsOf({ task, inputs }: JobSpec): readonly BlobRef[] {
  const shared = inputs.map(({ blob }) => blob)
  return task.type === 'module' ? [task.module, ...shared] : shared
}
