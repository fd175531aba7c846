import { unreadable } from '../../client/content/opened-file.js'
import { fetchReceipt, receiptContext } from '../../client/evidence/receipt.js'
import { decodeReceipt, encodeReceipt, RECEIPT_BYTES_MAX } from '../../client/evidence/receipt-file.js'
import { isTotalsFile } from '../../client/evidence/totals-file.js'
import { checkReceipt, type ProvedReceipt, type Receipt } from '../../job/evidence/receipt.js'
import { contains } from '../../job/units/selection.js'
import { createVerifier } from '../../overlay/identity/identity.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { JobSpec } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { readNamed } from '../../runtime/named-file.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { retriesOf } from '../jobs/collect.js'
import { checkUnit, readUnit, resolveJob, shortId, taskText } from '../jobs/job-view.js'
import { checkTotalsFile, idWorkAskedIn, writeTotals } from '../jobs/totals.js'
import { flagValue, whole } from '../settings/flags.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean, facts, plural } from '../terminal/output.js'
import { writeNamed } from '../terminal/written-file.js'

/** `manyhands receipt` and `check`: one file with all that proves a result, and checking it anywhere. */
export function defineReceipt(commands: CommandTable): void {
  commands
    .add('receipt [job] [unit]', 'one file that proves the result of a unit, for anybody to check', receipt)
    .option('-o, --output <file>', 'where to write it (JOB-UNIT.receipt, or totals.receipt)')
    .option('--totals', 'instead: what the owners of jobs attest that this machine gave, added to what the file has')
    .addHelpText(
      'after',
      [
        '',
        'The file has the signed spec, the orders that bear on the unit, every report of it with its grants, rulings of replays,',
        "and the output. 'manyhands check FILE' checks it on any machine, without a network.",
        '',
        '--totals: for each job that units of this machine settled in, the signed spec, and how many units as many of the owners attest as',
        'a result needs. Write it again now and then to the same file: peers forget a job a day after it has expired.',
        '',
        'Examples:',
        '  manyhands receipt last 17',
        '  manyhands receipt 3fa9 0 -o unit0.receipt',
        '  manyhands receipt --totals',
      ].join('\n'),
    )
  commands
    .add('check <file>', 'check a receipt or totals, on any machine and without a network', check)
    .option('-o, --output <file>', 'write the standard output of the unit to this file')
    .option('--id-work <bits>', "work that ids of the job's network must show, if not that of its name")
    .addHelpText(
      'after',
      [
        '',
        'Checks the signatures of the spec, of every order, report, donor and grant, that the owners who granted were near enough,',
        'that by the rules of the verdict these reports give the unit its result, and that the output has its digest. A receipt with one',
        'byte changed is refused, with exit code 1.',
        '',
        'It proves what the votes in it say. It cannot show that there are no others: whoever made it may have left some out.',
        '',
        'Examples:',
        '  manyhands check 3fa9-17.receipt',
        '  manyhands check 3fa9-17.receipt -o unit17.txt --json',
      ].join('\n'),
    )
}

async function receipt(
  context: CommandContext,
  [text, unitText]: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  if (options.totals === true) {
    if (text !== undefined) throw new GridError('invalid', '--totals is about all jobs: it takes neither job nor unit')
    return writeTotals(context, options.output as string | undefined)
  }
  if (text === undefined || unitText === undefined)
    throw new GridError('invalid', 'a receipt is about one unit of a job', {
      hint: 'manyhands receipt JOB UNIT, or --totals',
    })
  const unit = readUnit(unitText)
  return withConnection(context, async (connection) => {
    const { client } = connection
    const asked = await client.job(await resolveJob(connection, text))
    checkUnit(asked.spec, unit)
    const retries = await retriesOf(connection, asked.jobId)
    const job = retries.toReversed().find(({ spec }) => contains(spec.selection, unit)) ?? asked
    const made = await fetchReceipt(client, job, unit, context.interrupts.first)
    const proved = prove(made, undefined)
    const file = (options.output as string | undefined) ?? `${shortId(job.jobId)}-${unit}.receipt`
    const bytes = encodeReceipt(made, sha256)
    writeNamed(file, bytes)
    context.output.answer(`${file}\n${describe(made, proved)}`, {
      file,
      bytes: bytes.length,
      ...fieldsOf(made, proved),
    })
    context.output.note(`  check it:  manyhands check ${file}`)
    return EXIT.ok
  })
}

async function check(
  context: CommandContext,
  [file]: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const idWork = flagValue('--id-work', options.idWork, (bits) => whole(bits, 0, 64))
  const { output } = context
  const bytes = read(file!)
  if (isTotalsFile(bytes)) return checkTotalsFile(context, bytes, idWork)
  const made = decodeReceipt(bytes, sha256)
  const proved = prove(made, idWork)
  const target = options.output as string | undefined
  if (target !== undefined) writeNamed(target, proved.output?.stdout ?? new Uint8Array(0))
  output.answer(`valid\n${describe(made, proved)}`, { valid: true, ...fieldsOf(made, proved) })
  return EXIT.ok
}

/** Throws GridError `corrupt` with the reason for which a receipt is refused. */
function prove(made: Receipt, idWork: number | undefined): ProvedReceipt {
  const context = receiptContext(sha256, createVerifier(), idWork ?? idWorkAskedIn(jobSpecOf(made)))
  const proved = checkReceipt(made, context)
  if (!proved.ok) throw new GridError('corrupt', `the receipt is refused: ${proved.reason}`)
  return proved
}

function jobSpecOf({ spec }: Receipt): Pick<JobSpec, 'network'> {
  try {
    return jobSpecCodec.decode(spec.bytes)
  } catch {
    return { network: '' }
  }
}

function describe({ facts: reports }: Receipt, { jobId, spec, evidence, judgement, output }: ProvedReceipt): string {
  const { unit, outcome, digest, donors, grantors } = evidence
  const agreed = judgement.ruled
    ? `${plural(donors, 'donor')}, and a replay ruled by the submitter's side`
    : `${plural(donors, 'donor')} agreed, granted by ${plural(grantors, 'owner')}`
  const against = judgement.conflicting.length
  return facts([
    ['unit', `${unit} of job ${jobId}`],
    ['job', `${taskText(spec.task)}${spec.name === '' ? '' : `, named ${clean(spec.name)}`}, network ${spec.network}`],
    ['submitter', spec.submitter],
    ['submitted', new Date(spec.createdAtMs).toISOString()],
    ['result', `${outcome}, digest ${digest}`],
    [
      'output',
      output === undefined
        ? 'none'
        : `exit code ${output.exitCode}, ${plural(output.stdout.length, 'byte')} of standard output`,
    ],
    ['votes', `${agreed}${against > 0 ? `; ${against} said something else` : ''}`],
    ['donors', evidence.agreeing.map(({ donor }) => donor).join(' ')],
    ['checked', `signatures of the spec, ${plural(reports.length, 'report')} and their grants`],
  ])
}

function fieldsOf({ unit }: Receipt, { jobId, spec, evidence, judgement }: ProvedReceipt) {
  const { outcome, digest, outputBytes, fuel, agreeing } = evidence
  return {
    jobId,
    unit,
    submitter: spec.submitter,
    network: spec.network,
    outcome,
    digest,
    outputBytes,
    fuel,
    donors: agreeing.map(({ donor }) => donor),
    grantors: [...new Set(agreeing.map(({ grantor }) => grantor))],
    conflicting: judgement.conflicting.map(({ donor, digest: other }) => ({ donor, digest: other })),
    ruled: judgement.ruled === true,
  }
}

function read(file: string): Uint8Array {
  try {
    return readNamed(file, RECEIPT_BYTES_MAX)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EFBIG')
      throw new GridError('corrupt', `${file} is too large for a receipt`)
    throw unreadable('file', file, cause)
  }
}
