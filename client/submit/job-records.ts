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
/** Full records of one submitter behind the first, which is being filled. */
const FULL_PAGES_MAX = 8
/** Jobs that are listed for one submitter, newest first; the oldest beyond them are forgotten. */
export const LISTED_JOBS_MAX = FULL_PAGES_MAX * IDS_PER_PAGE
const PAGES_MAX = 1 + FULL_PAGES_MAX
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
  return (await readPages(overlay, jobsKey(hash, submitter), submitter)).slice(0, LISTED_JOBS_MAX)
}

/** Ids of all pages up to the first that does not exist, each once. */
async function readPages(
  overlay: Pick<ClientOverlay, 'getRecord'>,
  key: Key,
  submitter: PublicKey,
): Promise<readonly JobId[]> {
  const ids: JobId[] = []
  for (let page = 0; page < PAGES_MAX; page++) {
    const found = await readPage(overlay, key, submitter, page)
    if (found === undefined) break
    ids.push(...found)
  }
  return [...new Set(ids)]
}

async function readPage(
  overlay: Pick<ClientOverlay, 'getRecord'>,
  key: Key,
  submitter: PublicKey,
  page: number,
): Promise<readonly JobId[] | undefined> {
  const records = await overlay.getRecord(key, kindOf(page))
  const value = records.find(({ publicKey }) => publicKey === submitter)?.value
  return value === undefined ? undefined : idsIn(value).filter((id) => id !== NO_JOB)
}

/** Resolves to how many peers hold the page. */
function writePage(
  overlay: Pick<ClientOverlay, 'putRecord'>,
  key: Key,
  page: number,
  ids: readonly JobId[],
): Promise<number> {
  const value = packIds(ids.length > 0 ? ids : [NO_JOB])
  return overlay.putRecord({ kind: kindOf(page), key, value, lifetimeMs: LIFETIME_MS })
}

/** Times that an id is put into the list, when others who write it at the same moment write over it. */
const ADD_ATTEMPTS_MAX = 6

/**
 * Puts `jobId` in front of the submitter's list, and looks whether it stands there: another command or machine with the key may
 * have written the list meanwhile. The first page alone is read and written until it is full, however many jobs there are.
 * Resolves to how many peers hold it.
 */
export async function addJobRecord(
  overlay: Pick<ClientOverlay, 'getRecord' | 'putRecord'>,
  hash: Sha256,
  submitter: PublicKey,
  jobId: JobId,
): Promise<number> {
  const key = jobsKey(hash, submitter)
  let front = await readPage(overlay, key, submitter, 0)
  let holders = 0
  for (let attempt = 1; attempt <= ADD_ATTEMPTS_MAX; attempt++) {
    const others = (front ?? []).filter((id) => id !== jobId)
    const isFull = others.length >= IDS_PER_PAGE
    if (isFull) await moveBack(overlay, key, submitter)
    holders = await writePage(overlay, key, 0, isFull ? [jobId] : [jobId, ...others])
    front = await readPage(overlay, key, submitter, 0)
    if (front?.includes(jobId)) break
  }
  return holders
}

/** Moves what is listed one page back, last page first: a crash in between leaves ids listed twice, never one that is missing. */
async function moveBack(
  overlay: Pick<ClientOverlay, 'getRecord' | 'putRecord'>,
  key: Key,
  submitter: PublicKey,
): Promise<void> {
  const ids = (await readPages(overlay, key, submitter)).slice(0, LISTED_JOBS_MAX)
  for (let page = Math.ceil(ids.length / IDS_PER_PAGE); page >= 1; page--)
    await writePage(overlay, key, page, ids.slice((page - 1) * IDS_PER_PAGE, page * IDS_PER_PAGE))
}

/** Takes `jobId` out of the pages of the submitter's list in which it stands. Resolves once written. */
export async function removeJobRecord(
  overlay: Pick<ClientOverlay, 'getRecord' | 'putRecord'>,
  hash: Sha256,
  submitter: PublicKey,
  jobId: JobId,
): Promise<void> {
  const key = jobsKey(hash, submitter)
  for (let page = 0; page < PAGES_MAX; page++) {
    const ids = await readPage(overlay, key, submitter, page)
    if (ids === undefined) return
    if (!ids.includes(jobId)) continue
    await writePage(
      overlay,
      key,
      page,
      ids.filter((id) => id !== jobId),
    )
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
