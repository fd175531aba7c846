import { statSync } from 'node:fs'
import { z } from 'zod'
import { onDisk } from '../../overlay/identity/data-directory.js'
import { workerFolder } from '../../process/data-folders.js'
import type { JobId, PublicKey } from '../../proto/model.js'
import { nodeDisk } from '../../runtime/disk.js'
import { GridError } from '../../runtime/errors.js'
import { readNamed } from '../../runtime/named-file.js'
import { type LedgerContent, readLedger, type SettledRow } from '../../worker/ledger.js'
import { toJson } from '../terminal/output.js'

/** What `stats --export` writes, and its version. */
const EXPORT_TYPE = 'manyhands-ledger'
const EXPORT_VERSION = 1
/** Far more than a ledger's rows take. Unit: bytes. */
const EXPORT_BYTES_MAX = 64 * 2 ** 20

/** A ledger, and where it was read. */
export interface LedgerSource extends LedgerContent {
  readonly source: string
}

const wholeNumber = z.number().int().nonnegative()
const exportSchema = z.object({
  v: z.literal(EXPORT_VERSION),
  type: z.literal(EXPORT_TYPE),
  ledger: z.string().regex(/^[0-9a-f]{32}$/),
  sinceMs: wholeNumber,
  rows: z.array(
    z.object({
      day: wholeNumber.max(1_000_000),
      jobId: z.string().regex(/^([0-9a-f]{64})?$/),
      jobName: z.string().max(1_000),
      submitter: z.string().regex(/^([0-9a-f]{64})?$/),
      agreed: wholeNumber,
      disagreed: wholeNumber,
      fuel: z.string().regex(/^[0-9]{1,60}$/),
      computeMs: z.number().nonnegative(),
    }),
  ),
})

/** A ledger as text that {@link readSource} takes on another machine: one line of JSON. */
export function exportText({ id, sinceMs, rows }: LedgerContent): string {
  return `${toJson({ v: EXPORT_VERSION, type: EXPORT_TYPE, ledger: id, sinceMs, rows })}\n`
}

/**
 * The ledger in `path`: a data directory, or a file that `stats --export` wrote. Undefined for a directory in which no
 * worker has run. Rejects with GridError `invalid` when nothing is there, or another file.
 */
export async function readSource(path: string): Promise<LedgerSource | undefined> {
  const found = onDisk(path, () => statSync(path, { throwIfNoEntry: false }))
  if (found === undefined)
    throw new GridError('invalid', `there is no ${path}`, {
      hint: "name data directories, or files that 'manyhands stats --export FILE' wrote",
    })
  if (found.isDirectory()) {
    const content = await readLedger(nodeDisk(workerFolder(path)))
    return content && { ...content, source: path }
  }
  const wrong = (why: string, cause?: unknown) =>
    new GridError('invalid', `${path} is no exported ledger: ${why}`, {
      cause,
      hint: "write one with 'manyhands stats --export FILE'",
    })
  if (found.size > EXPORT_BYTES_MAX) throw wrong(`it has more than ${EXPORT_BYTES_MAX} bytes`)
  let value: unknown
  try {
    value = JSON.parse(readNamed(path, EXPORT_BYTES_MAX).toString('utf8'))
  } catch (error) {
    throw wrong('it cannot be read as JSON', error)
  }
  const { data, error } = exportSchema.safeParse(value)
  if (data === undefined) throw wrong(`${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`, error)
  const rows = data.rows.map(
    (row): SettledRow => ({
      ...row,
      jobId: row.jobId as JobId | '',
      submitter: row.submitter as PublicKey | '',
      fuel: BigInt(row.fuel),
    }),
  )
  return { id: data.ledger, sinceMs: data.sinceMs, rows, source: path }
}

/**
 * Each ledger once: a file written earlier is part of the directory it came from. Of several readings of one ledger the one
 * with the most units is the latest, as counts only rise.
 */
export function eachOnce(sources: readonly LedgerSource[]): {
  readonly used: readonly LedgerSource[]
  readonly superseded: readonly LedgerSource[]
} {
  const latest = new Map<string, LedgerSource>()
  const superseded: LedgerSource[] = []
  for (const source of sources) {
    const known = latest.get(source.id)
    const isLater = known === undefined || unitsOf(source) > unitsOf(known)
    if (known !== undefined) superseded.push(isLater ? known : source)
    if (isLater) latest.set(source.id, source)
  }
  return { used: [...latest.values()], superseded }
}

function unitsOf({ rows }: LedgerContent): number {
  return rows.reduce((sum, { agreed, disagreed }) => sum + agreed + disagreed, 0)
}
