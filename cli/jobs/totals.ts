import { existsSync } from 'node:fs'
import { unreadable } from '../../client/content/opened-file.js'
import { betterOf, collectTotals, totalsContext } from '../../client/evidence/totals.js'
import { decodeTotals, encodeTotals, TOTALS_BYTES_MAX } from '../../client/evidence/totals-file.js'
import {
  checkTotals,
  type JobTotals,
  type ProvedTotal,
  type Totals,
  type TotalsContext,
} from '../../job/evidence/totals.js'
import { jobIdOf } from '../../job/spec/spec.js'
import { createVerifier } from '../../overlay/identity/identity.js'
import { resolveNetwork } from '../../overlay/identity/network.js'
import { workerFolder } from '../../process/data-folders.js'
import type { JobId, JobSpec, PublicKey } from '../../proto/model.js'
import { nodeDisk } from '../../runtime/disk.js'
import { GridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { readNamed } from '../../runtime/named-file.js'
import { type LedgerOnDisk, readLedger } from '../../worker/ledger.js'
import type { CommandContext } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { facts, plural } from '../terminal/output.js'
import { startProgress } from '../terminal/progress.js'
import { writeNamed } from '../terminal/written-file.js'

/** Where totals are written unless a file is named. */
const FILE = 'totals.receipt'

/** `receipt --totals`: what owners attest of all that this machine's ledger has, added to what the file had. */
export async function writeTotals(context: CommandContext, named: string | undefined): Promise<ExitCode> {
  const { output, settings, clock, interrupts } = context
  const file = named ?? FILE
  const ledger = await readLedger(nodeDisk(workerFolder(settings.data.value)))
  if (ledger === undefined || jobsOf(ledger).length === 0)
    throw new GridError('notFound', 'nothing that this machine gave is settled yet', {
      hint: 'donate CPU with: manyhands work --join HOST',
    })
  return withConnection(context, async ({ client }) => {
    const { signer } = client.parts
    const checking = contextWith(undefined)
    const before = await earlier(file, signer.publicKey, checking)
    const jobIds = jobsOf(ledger)
    const progress = startProgress(output, clock)
    const { jobs, gone } = await collectTotals(client, {
      jobIds,
      gave: (jobId, first, count) => hasAny(ledger, jobId, first, count),
      context: checking,
      signal: interrupts.first,
      onJob: (done) => progress.show({ done, total: jobIds.length, text: 'asking owners what they attest' }),
    }).finally(() => progress.stop())
    const all = new Map(before)
    for (const [jobId, job] of jobs) {
      const known = all.get(jobId)
      all.set(jobId, known === undefined ? job : betterOf(known, job, signer.publicKey, checking))
    }
    if (all.size === 0)
      throw new GridError('unavailable', 'no owner attests anything that this machine gave', {
        hint: 'peers forget a job a day after it has expired; or they cannot be reached now',
      })
    const totals: Totals = { worker: signer.publicKey, jobs: [...all.values()] }
    const proved = prove(totals, undefined)
    const bytes = encodeTotals(totals, signer)
    writeNamed(file, bytes)
    output.answer(`${file}\n${describe(totals, proved)}`, { file, bytes: bytes.length, ...fieldsOf(totals, proved) })
    const lost = gone.filter((jobId) => !all.has(jobId)).length
    if (lost > 0) output.note(`  of ${plural(lost, 'job')} no owner attests anything any more, or yet`)
    output.note(`  check it:  manyhands check ${file}`)
    return EXIT.ok
  })
}

/** `check` of a file with totals. Throws GridError `corrupt` with the reason for which it is refused. */
export function checkTotalsFile({ output }: CommandContext, bytes: Uint8Array, idWork: number | undefined): ExitCode {
  const totals = decodeTotals(bytes, createVerifier())
  const proved = prove(totals, idWork)
  output.answer(`valid\n${describe(totals, proved)}`, { valid: true, ...fieldsOf(totals, proved) })
  return EXIT.ok
}

function prove(totals: Totals, idWork: number | undefined): readonly ProvedTotal[] {
  const checked = checkTotals(totals, contextWith(idWork))
  if (!checked.ok) throw new GridError('corrupt', `the totals are refused: ${checked.reason}`)
  return checked.jobs
}

function contextWith(idWork: number | undefined): TotalsContext {
  return totalsContext(sha256, createVerifier(), (spec) => idWork ?? idWorkAskedIn(spec))
}

/** What the network of a job asks of ids, by its name. */
export function idWorkAskedIn({ network }: Pick<JobSpec, 'network'>): number {
  try {
    return resolveNetwork(network).idWorkBits
  } catch {
    return 0
  }
}

/** Jobs that a file of this key has already; owners may have forgotten them since. */
async function earlier(
  file: string,
  worker: PublicKey,
  context: TotalsContext,
): Promise<ReadonlyMap<JobId, JobTotals>> {
  if (!existsSync(file)) return new Map()
  const totals = decodeTotals(readTotals(file), createVerifier())
  if (totals.worker !== worker || !checkTotals(totals, context).ok)
    throw new GridError('exists', `${file} has the totals of another key`, { hint: 'name another file with -o' })
  return new Map(totals.jobs.map((job) => [jobIdOf(sha256, job.spec.bytes), job]))
}

function readTotals(file: string): Uint8Array {
  try {
    return readNamed(file, TOTALS_BYTES_MAX)
  } catch (cause) {
    throw unreadable('file', file, cause, 'name another file with -o')
  }
}

function jobsOf({ rows }: LedgerOnDisk): readonly JobId[] {
  return [...new Set(rows.filter(({ agreed, jobId }) => agreed > 0 && jobId !== '').map(({ jobId }) => jobId as JobId))]
}

function hasAny(ledger: LedgerOnDisk, jobId: JobId, first: number, count: number): boolean {
  for (let unit = first; unit < first + count; unit++) if (ledger.has(jobId, unit)) return true
  return false
}

function describe({ worker }: Totals, jobs: readonly ProvedTotal[]): string {
  const bySubmitter = new Map<PublicKey, ProvedTotal[]>()
  for (const job of jobs) {
    const { submitter } = job.spec
    bySubmitter.set(submitter, [...(bySubmitter.get(submitter) ?? []), job])
  }
  const unitsOf = (list: readonly ProvedTotal[]) => list.reduce((sum, { units }) => sum + units, 0)
  return facts([
    ['worker', worker],
    ['gave', `${plural(unitsOf(jobs), 'settled unit')} of ${plural(jobs.length, 'job')}`],
    ...[...bySubmitter].map(
      ([submitter, list]) =>
        [
          'to',
          `${submitter}: ${plural(unitsOf(list), 'unit')} of ${plural(list.length, 'job')}, fuel ${list.reduce((sum, { fuel }) => sum + fuel, 0n)}`,
        ] as const,
    ),
    ['checked', 'signatures of the worker, of each spec, and of the owners who attest it'],
  ])
}

function fieldsOf({ worker }: Totals, jobs: readonly ProvedTotal[]) {
  return {
    worker,
    units: jobs.reduce((sum, { units }) => sum + units, 0),
    jobs: jobs.map(({ jobId, spec, units, fuel, shards, owners }) => ({
      jobId,
      submitter: spec.submitter,
      network: spec.network,
      units,
      fuel,
      shards,
      owners,
    })),
  }
}
