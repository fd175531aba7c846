import {
  askClocks,
  askWhy,
  type ExplainedJob,
  type ExplainedUnit,
  explainMe,
  type Finding,
} from '../../client/explain/explain.js'
import { formatDuration } from '../../job/quantity.js'
import type { ProcessState } from '../../proto/admin-messages.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, workerFlags } from '../context.js'
import { type Connection, withConnection } from '../grid/connect.js'
import { openAdmin } from '../grid/local-admin.js'
import { checkUnit, countsText, readUnit, resolveJob, shortId, taskText } from '../jobs/job-view.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean, facts, plural, table } from '../terminal/output.js'

/** `manyhands explain`: why a job, or a unit, is where it is. */
export function defineExplain(commands: CommandTable): void {
  commands
    .add(
      'explain [job/unit]',
      'why a job, a unit or this machine is where it is: who was asked, and what each said',
      async (context, [text], options) => {
        if (options.me === true && text !== undefined)
          throw new GridError('invalid', '--me is about this machine: name no job with it')
        if (options.me === true) return explainThisMachine(context)
        if (text === undefined) {
          throw new GridError('invalid', 'say which job', {
            hint: 'a job:         manyhands explain last\na unit:        manyhands explain last/3\nthis machine:  manyhands explain --me',
          })
        }
        return withConnection(context, (connection) => explainOne(context, connection, text))
      },
    )
    .option('--me', 'why the worker on this machine computes nothing')
    .addHelpText(
      'after',
      [
        '',
        'Asks every home of the job and the owners of its shards. What blocks the job comes first; each reason says for how long,',
        'who says so, the value that decides it, and what to do. With /UNIT: what the unit waits for, and what happened to it as',
        'far as its owners remember. All reasons: docs/explain.md',
        '',
        'Examples:',
        '  manyhands explain last',
        '  manyhands explain 3fa9/17',
        '  manyhands explain --me',
      ].join('\n'),
    )
}

async function explainOne(context: CommandContext, connection: Connection, text: string): Promise<ExitCode> {
  const { jobText, unit } = splitUnit(text)
  const jobId = await resolveJob(connection, jobText)
  const words = { job: shortId(jobId), flags: workerFlags(context) }
  const explained = await askWhy(connection.client, jobId, words, unit === undefined ? {} : { unit })
  if (unit !== undefined) checkUnit(explained.job.spec, unit)
  context.output.answer(textOf(explained, unit), fieldsOf(explained, unit))
  return EXIT.ok
}

async function explainThisMachine(context: CommandContext): Promise<ExitCode> {
  const { output, clock } = context
  const admin = openAdmin(context)
  try {
    const state = await admin.state()
    // Without a peer there is nobody to ask what time it is; the state says so.
    const clocks = await withConnection(context, ({ client, process: { overlay } }) =>
      askClocks(
        client,
        overlay.contacts().map((contact) => overlay.endpoint(contact)),
      ),
    ).catch((error: unknown) => {
      if (error instanceof GridError && error.code === 'unreachable') return []
      throw error
    })
    const wallMs = clock.wallMs()
    const findings = explainMe({ state, wallMs, clocks })
    output.answer(processText(state, findings, wallMs), {
      nodeId: state.nodeId,
      address: state.address || null,
      threads: state.worker?.threads.length ?? 0,
      peers: state.peers.length,
      findings,
      owners: state.worker?.owners ?? [],
    })
    return EXIT.ok
  } finally {
    admin.close()
  }
}

function processText(state: ProcessState, findings: readonly Finding[], wallMs: number): string {
  const { worker, peers, nodeId, address } = state
  const what = worker === undefined ? 'a peer that computes nothing' : `${plural(worker.threads.length, 'thread')}`
  const lines = [
    `node ${nodeId.slice(0, 12)}${address === '' ? '' : ` at ${address}`}: ${what}, ${plural(peers.length, 'peer')}`,
  ]
  if (worker !== undefined && worker.owners.length > 0)
    lines.push(
      '',
      table(
        ['OWNER', 'CONNECTED', 'IN HAND', 'AGO', 'SAID'],
        worker.owners.map((owner) => [
          owner.address || owner.nodeId.slice(0, 12),
          owner.connected ? 'yes' : 'no',
          owner.held,
          owner.reasonAtMs === 0 ? '' : formatDuration(Math.max(0, wallMs - owner.reasonAtMs)),
          owner.reason === '' ? '-' : owner.reason,
        ]),
      ),
    )
  for (const finding of findings) lines.push('', findingText(finding))
  if (findings.length === 0) lines.push('', 'nothing holds it back')
  return lines.map(clean).join('\n')
}

function splitUnit(text: string): { readonly jobText: string; readonly unit: number | undefined } {
  const at = text.lastIndexOf('/')
  if (at < 0) return { jobText: text, unit: undefined }
  return { jobText: text.slice(0, at), unit: readUnit(text.slice(at + 1)) }
}

function textOf({ job, sight, findings, moving, unit }: ExplainedJob, number: number | undefined): string {
  const { summary, answers, silences } = sight
  const isDone = summary.settled + summary.failed >= summary.units
  const state = isDone ? 'finished' : moving ? 'moves' : 'waits'
  const lines = [
    `job ${shortId(job.jobId)} ${taskText(job.spec.task)}, ${plural(summary.units, 'unit')}: ${countsText(summary)}`,
    `${state}; ${plural(answers.length, 'peer')} answered${silences.length > 0 ? `, ${silences.length} did not` : ''}`,
  ]
  if (unit !== undefined) lines.push('', ...unitLines(unit, number!))
  for (const finding of findings) lines.push('', findingText(finding))
  if (isDone && findings.length === 0) lines.push('', 'every unit is settled: nothing is left to explain')
  return lines.map(clean).join('\n')
}

/** One finding on a few lines. */
function findingText({ code, sentence, sinceMs, by, value, cure }: Finding): string {
  const since = sinceMs === undefined ? '' : ` (for ${formatDuration(sinceMs)})`
  const more = facts([
    ['  said by', by.join(', ')],
    ['  value', value],
    ['  do', cure],
  ])
  return `${code}: ${clean(sentence)}${since}\n${more}`
}

function unitLines({ lines, timeline }: ExplainedUnit, unit: number): string[] {
  const [first = '', ...rest] = lines
  const said = [`unit ${unit} ${first}`, ...rest.map((line) => `  ${line}`)]
  if (timeline.length > 0)
    said.push(
      '',
      table(
        ['AGO', 'OWNER', 'WHAT'],
        timeline.map(({ agoMs, by, text }) => [formatDuration(agoMs), by, text]),
      ),
    )
  return said
}

function fieldsOf({ job, sight, findings, moving, unit }: ExplainedJob, number: number | undefined) {
  return {
    jobId: job.jobId,
    task: taskText(job.spec.task),
    moving,
    summary: sight.summary,
    findings,
    answered: sight.answers.map(({ nodeId, address, reply }) => ({
      nodeId,
      address,
      version: reply.version,
      home: reply.home !== undefined,
      shards: reply.shards.map(({ shard }) => shard),
      workers: reply.workers,
    })),
    silent: sight.silences,
    ...(unit === undefined ? {} : { unit: { unit: number, ...unit } }),
  }
}
