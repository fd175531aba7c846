import { keyOf, type RecordKind } from '../../overlay/index.js'
import type { JobId, Key, PublicKey } from '../../proto/model.js'
import { RECORD_VALUE_BYTES_MAX } from '../../proto/overlay-messages.js'
import type { Millis } from '../../runtime/clock.js'
import { type Sha256, sha256 } from '../../runtime/hash.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import type { ClientOverlay } from '../session/overlay-face.js'

const ID_BYTES = 32
/** Ids of one record: 25 of 32 bytes. */
const IDS_PER_PAGE = Math.floor(RECORD_VALUE_BYTES_MAX / ID_BYTES)
/** Records of one submitter; the oldest ids beyond them are forgotten. */
const PAGES_MAX = 8
/** Jobs that are listed for one submitter, newest first. */
export const LISTED_JOBS_MAX = PAGES_MAX * IDS_PER_PAGE
/** As long as a job lives unless its submitter says otherwise. */
const LIFETIME_MS: Millis = 30 * 24 * 3600 * 1000

/** Stands in a page without jobs, as a page has one id at least. */
const NO_JOB = '0'.repeat(2 * ID_BYTES) as JobId

const kindOf = (page: number): string => `jobs.${page}`

/** Where the records of a submitter lie: SHA-256("jobs", its key). Page n has the kind `jobs.n`. */
export function jobsKey(hash: Sha256, submitter: PublicKey): Key {
  return keyOf(hash, 'jobs', [fromHex(submitter)])
}

/** The kinds of record that list the jobs of a submitter, for every node to store: under its own key alone, whole ids. */
export const jobListKinds: readonly RecordKind[] = Array.from({ length: PAGES_MAX }, (_, page) => ({
  name: kindOf(page),
  lifetimeMaxMs: LIFETIME_MS,
  valid: ({ key, publicKey, value }) =>
    value.length > 0 &&
    value.length % ID_BYTES === 0 &&
    value.length <= IDS_PER_PAGE * ID_BYTES &&
    key === jobsKey(sha256, publicKey),
}))

/** Ids of the jobs that `submitter` listed in the network, newest first. */
export async function readJobRecords(
  overlay: Pick<ClientOverlay, 'getRecord'>,
  hash: Sha256,
  submitter: PublicKey,
): Promise<readonly JobId[]> {
  const key = jobsKey(hash, submitter)
  const ids: JobId[] = []
  for (let page = 0; page < PAGES_MAX; page++) {
    const records = await overlay.getRecord(key, kindOf(page))
    const value = records.find(({ publicKey }) => publicKey === submitter)?.value
    if (value === undefined) break
    ids.push(...idsIn(value))
    if (value.length < IDS_PER_PAGE * ID_BYTES) break
  }
  return [...new Set(ids)].filter((id) => id !== NO_JOB)
}

/** Times that an id is put into the list, when others who write it at the same moment write over it. */
const ADD_ATTEMPTS_MAX = 6

/**
 * Puts `jobId` in front of the submitter's list, and looks whether it stands there: another command or machine with the key may
 * have written the list meanwhile. Resolves to how many peers hold the first page.
 */
export async function addJobRecord(
  overlay: Pick<ClientOverlay, 'getRecord' | 'putRecord'>,
  hash: Sha256,
  submitter: PublicKey,
  jobId: JobId,
): Promise<number> {
  let known = await readJobRecords(overlay, hash, submitter)
  let holders = 0
  for (let attempt = 1; attempt <= ADD_ATTEMPTS_MAX; attempt++) {
    holders = await writeFront(overlay, hash, submitter, jobId, known)
    known = await readJobRecords(overlay, hash, submitter)
    if (known.includes(jobId)) break
  }
  return holders
}

/** Writes the pages that change: all of them, as each id moves one place, but a submitter with 25 jobs has one. */
async function writeFront(
  overlay: Pick<ClientOverlay, 'putRecord'>,
  hash: Sha256,
  submitter: PublicKey,
  jobId: JobId,
  known: readonly JobId[],
): Promise<number> {
  const ids = [jobId, ...known.filter((id) => id !== jobId)].slice(0, LISTED_JOBS_MAX)
  const key = jobsKey(hash, submitter)
  let holders = 0
  // Last page first: a crash in between leaves an id listed twice, never one that is missing.
  for (let page = Math.ceil(ids.length / IDS_PER_PAGE) - 1; page >= 0; page--) {
    const value = packIds(ids.slice(page * IDS_PER_PAGE, (page + 1) * IDS_PER_PAGE))
    holders = await overlay.putRecord({ kind: kindOf(page), key, value, lifetimeMs: LIFETIME_MS })
  }
  return holders
}

/**
 * Takes `jobId` out of the submitter's list. Pages that it was in or before move up; one that is left over says nothing
 * new. Resolves once written; nothing to do for an id that is not listed.
 */
export async function removeJobRecord(
  overlay: Pick<ClientOverlay, 'getRecord' | 'putRecord'>,
  hash: Sha256,
  submitter: PublicKey,
  jobId: JobId,
): Promise<void> {
  const known = await readJobRecords(overlay, hash, submitter)
  if (!known.includes(jobId)) return
  const ids = known.filter((id) => id !== jobId)
  const key = jobsKey(hash, submitter)
  // One page more than there are ids for, if they fill theirs: the page behind a full one is read, too.
  const pages = Math.min(PAGES_MAX, Math.floor(ids.length / IDS_PER_PAGE) + 1)
  for (let page = 0; page < pages; page++) {
    const own = ids.slice(page * IDS_PER_PAGE, (page + 1) * IDS_PER_PAGE)
    const value = packIds(own.length > 0 ? own : [NO_JOB])
    await overlay.putRecord({ kind: kindOf(page), key, value, lifetimeMs: LIFETIME_MS })
  }
}

function packIds(ids: readonly JobId[]): Uint8Array {
  const value = new Uint8Array(ids.length * ID_BYTES)
  for (const [i, id] of ids.entries()) value.set(fromHex(id), i * ID_BYTES)
  return value
}

function idsIn(value: Uint8Array): JobId[] {
  const ids: JobId[] = []
  for (let at = 0; at + ID_BYTES <= value.length; at += ID_BYTES)
    ids.push(toHex(value.subarray(at, at + ID_BYTES)) as JobId)
  return ids
}
