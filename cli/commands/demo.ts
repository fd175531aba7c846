import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ResultsSummary, UnitAnswer } from '../../client/results/answer.js'
import { reduceAnswers } from '../../client/results/reduce.js'
import { ResultsReader } from '../../client/results/results.js'
import { submitJob } from '../../client/submit/submit.js'
import { formatDuration } from '../../job/quantity.js'
import type { JobId, Summary } from '../../proto/model.js'
import { pause } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { DEMO_PEERS, DEMO_WORKERS, DemoGrid, type Liar } from '../demo/demo-grid.js'
import { type Connection, connect } from '../grid/connect.js'
import { taskOf } from '../jobs/answers.js'
import { Follower } from '../jobs/following.js'
import { draftJob, finishJob } from '../jobs/job-draft.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { aborting, InterruptedError } from '../terminal/interrupts.js'
import { facts } from '../terminal/output.js'

/** How long the home is asked for final counts, and how often. Unit: ms. */
const SUMMARY_MS = 5_000
const SUMMARY_RETRY_MS = 200
/** Primes below 10^9 (OEIS A006880). */
const KNOWN_COUNT = '50847534'
const RANGE = '0..10^9:10^7'
const QUORUM = '2'

/** `manyhands demo`: a whole grid on this machine. */
export function defineDemo(commands: CommandTable): void {
  commands
    .add('demo', 'run a whole grid on this machine, and one real job on it', (context, _, options) =>
      demo(context, options.liar === true),
    )
    .option('--liar', 'add a volunteer that lies, and show what becomes of it')
    .addHelpText(
      'after',
      [
        '',
        `Starts ${DEMO_PEERS} peers and ${DEMO_WORKERS} volunteers as processes of their own on the loopback interface, in a temporary folder,`,
        `counts the primes below 10^9 on them with quorum ${QUORUM}, and removes everything.`,
        'The liar runs a changed program: each of its counts is one too high.',
        '',
        'Examples:',
        '  manyhands demo',
        '  manyhands demo --liar',
      ].join('\n'),
    )
}

async function demo(context: CommandContext, withLiar: boolean): Promise<ExitCode> {
  const { output, clock, interrupts } = context
  const startedAt = clock.now()
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-demo-'))
  const grid = new DemoGrid(folder)
  const interrupted = aborting(interrupts.first).then(() => {
    throw new InterruptedError()
  })
  interrupted.catch(() => {})
  try {
    const address = await Promise.race([grid.start(withLiar), interrupted])
    const startedMs = clock.now() - startedAt
    output.note(
      `${DEMO_PEERS} peers and ${DEMO_WORKERS + (withLiar ? 1 : 0)} volunteers run on this machine (started in ${formatDuration(startedMs)})`,
    )
    const result = await Promise.race([compute(grid.contextOf(context, address)), interrupted])
    const liar = withLiar ? await Promise.race([grid.stopLiar(), interrupted]) : undefined
    return conclude(context, result, liar, clock.now() - startedAt)
  } catch (error) {
    if (error instanceof InterruptedError || interrupts.first.aborted) {
      output.note('interrupted: stopping everything')
      return EXIT.interrupted
    }
    const failure = toGridError(error)
    const logs = grid.logs()
    throw logs === ''
      ? failure
      : new GridError(failure.code, failure.message, {
          cause: failure,
          hint: [failure.hint ?? '', logs].join('\n').trim(),
        })
  } finally {
    await grid.kill()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface DemoResult {
  readonly text: string
  readonly evidence: ResultsSummary
  readonly summary: Summary
  readonly wallMs: number
  /** Votes behind accepted results, by donor. */
  readonly votes: ReadonlyMap<string, number>
}

/** Submits the job, waits for it and proves its result, as `submit --wait` does. */
async function compute(context: CommandContext): Promise<DemoResult> {
  const { clock, output } = context
  const where = (name: string) => `--${name}`
  const draft = await draftJob(context, {
    task: 'primes',
    args: undefined,
    given: new Map([
      ['range', { texts: [RANGE], where: where('range') }],
      ['quorum', { texts: [QUORUM], where: where('quorum') }],
      ['name', { texts: ['primes below 10^9'], where: where('name') }],
    ]),
  })
  const connection: Connection = await connect(context)
  const follower = new Follower(context)
  try {
    const { client, list } = connection
    const { overlay, signer } = client.parts
    const built = finishJob(draft.built, {
      submitter: signer.publicKey,
      peers: await overlay.estimatePeers(),
      shardOwners: await client.ownersHere(),
      unitMs: 0,
    })
    output.note(`manyhands submit primes --range ${RANGE} --quorum ${QUORUM} --wait`)
    const startedAt = clock.now()
    const { jobId } = await submitJob(client, built, { list, summary: draft.summary })
    const job = await client.job(jobId)
    const reader = new ResultsReader(client, job, {
      follow: true,
      signal: context.interrupts.first,
      onProgress: (progress) => follower.look(progress),
    })
    const votes = new Map<string, number>()
    async function* counted(): AsyncGenerator<UnitAnswer, void, undefined> {
      for await (const answer of reader) {
        follower.answered(answer.state)
        for (const donor of answer.donors) votes.set(donor, (votes.get(donor) ?? 0) + 1)
        yield answer
      }
    }
    let text = ''
    await reduceAnswers(counted(), taskOf(built.spec), built.spec, {
      write: (bytes) => {
        text += new TextDecoder().decode(bytes)
      },
    })
    const wallMs = clock.now() - startedAt
    const summary = await finalSummary(connection, jobId)
    return { text: text.trim(), evidence: reader.summary, summary, wallMs, votes }
  } finally {
    follower.stop()
    await connection.close()
    await draft.files.close()
  }
}

/** The counts of the home once it has heard that all is settled; owners tell it about once a second. */
async function finalSummary({ client }: Connection, jobId: JobId): Promise<Summary> {
  const { clock } = client.parts
  const endAt = clock.now() + SUMMARY_MS
  for (;;) {
    const { summary } = await client.show(jobId, false)
    if (summary.settled + summary.failed >= summary.units || clock.now() > endAt) return summary
    await pause(clock, SUMMARY_RETRY_MS)
  }
}

function conclude({ output }: CommandContext, result: DemoResult, liar: Liar | undefined, totalMs: number): ExitCode {
  const { text, evidence, summary, wallMs, votes } = result
  const isRight = text === KNOWN_COUNT
  const lies = liar === undefined ? 0 : (votes.get(liar.publicKey) ?? 0)
  output.answer(text, {
    result: text,
    known: KNOWN_COUNT,
    correct: isRight,
    units: evidence.units,
    proved: evidence.proved,
    granted: summary.granted,
    answered: summary.answered,
    disagreeing: summary.disagreeing,
    wallMs: Math.round(wallMs),
    totalMs: Math.round(totalMs),
    ...(liar === undefined ? {} : { liar: { ...liar, accepted: lies } }),
  })
  output.note(
    facts([
      ['result', `${text}, ${isRight ? 'as published (OEIS A006880)' : `WRONG: ${KNOWN_COUNT} is known`}`],
      [
        'units',
        `${evidence.proved} of ${evidence.units}, ${evidence.donorsMin} agreeing donors each, signatures and digests checked here`,
      ],
      ['instances', `${summary.granted} granted, ${summary.answered} answered, ${summary.disagreeing} disagreeing`],
      ['time', `${formatDuration(wallMs)} for the job, ${formatDuration(totalMs)} in all`],
    ]),
  )
  if (liar !== undefined) {
    const share = summary.granted === 0 ? 0 : Math.round((100 * liar.computed) / summary.granted)
    output.note(
      facts([
        ['the liar', `computed ${liar.computed} units, each with a wrong count: ${share}% of all instances`],
        ['outvoted', `${liar.disagreed} of its answers`],
        ['accepted', `${lies} of its answers: ${lies === 0 ? 'the result is right all the same' : 'TOO MANY'}`],
      ]),
    )
  }
  return isRight && lies === 0 && evidence.missingCount === 0 ? EXIT.ok : EXIT.failed
}
