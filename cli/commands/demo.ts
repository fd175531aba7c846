import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ResultsSummary, UnitAnswer } from '../../client/answer.js'
import { reduceAnswers } from '../../client/reduce.js'
import { ResultsReader } from '../../client/results.js'
import { submitJob } from '../../client/submit.js'
import { formatDuration } from '../../job/quantity.js'
import type { JobId, Summary } from '../../proto/model.js'
import { pause } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { taskOf } from '../answers.js'
import { type Connection, connect, InterruptedError } from '../connect.js'
import type { CommandContext } from '../context.js'
import { DemoProcess } from '../demo/demo-process.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { Follower } from '../following.js'
import { aborting } from '../interrupts.js'
import { facts } from '../output.js'
import { finishJob, prepareJob } from '../prepared-job.js'
import type { CommandTable } from '../program.js'

const PEERS = 3
const WORKERS = 4
/** Time for one process to say that it runs. Unit: ms. */
const READY_MS = 30_000
/** How long the home is asked for final counts, and how often. Unit: ms. */
const SUMMARY_MS = 5_000
const SUMMARY_RETRY_MS = 200
/** Primes below 10^9 (OEIS A006880). */
const KNOWN_COUNT = '50847534'
const RANGE = '0..10^9:10^7'
const QUORUM = '2'
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))
const LYING_TASKS = fileURLToPath(new URL('../demo/lying-primes.js', import.meta.url))

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
        `Starts ${PEERS} peers and ${WORKERS} volunteers as processes of their own on the loopback interface, in a temporary folder,`,
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
      `${PEERS} peers and ${WORKERS + (withLiar ? 1 : 0)} volunteers run on this machine (started in ${formatDuration(startedMs)})`,
    )
    const result = await Promise.race([compute(grid.contextOf(context, address)), interrupted])
    const liar = withLiar ? await Promise.race([grid.stopLiar(), interrupted]) : undefined
    await Promise.race([grid.stop(), interrupted])
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

/** The processes of the demo, and how to reach them. */
class DemoGrid {
  readonly #folder: string
  readonly #network = `demo-${randomBytes(6).toString('hex')}`
  readonly #processes: DemoProcess[] = []
  #liar: DemoProcess | undefined
  #liarKey = ''

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Starts everything; gives the address of the first peer. */
  async start(withLiar: boolean): Promise<string> {
    const first = await this.#peer('peer 1', []).ready(READY_MS)
    const address = String(first.address)
    const others = Array.from({ length: PEERS - 1 }, (_, i) => this.#peer(`peer ${i + 2}`, ['--join', address]))
    const workers = Array.from({ length: WORKERS }, (_, i) => this.#worker(`worker ${i + 1}`, address, {}))
    if (withLiar) {
      this.#liar = this.#worker('the liar', address, { MANYHANDS_TASKS: LYING_TASKS })
      workers.push(this.#liar)
    }
    await Promise.all([...others, ...workers].map((one) => one.ready(READY_MS)))
    if (this.#liar !== undefined) this.#liarKey = String((await this.#liar.ready(READY_MS)).publicKey)
    return address
  }

  /** The settings of a command that joins this grid. */
  contextOf(context: CommandContext, address: string): CommandContext {
    const settings = {
      ...context.settings,
      data: { value: join(this.#folder, 'submitter'), origin: 'flag' as const },
      network: { value: this.#network, origin: 'flag' as const },
      'secret-file': { value: undefined, origin: 'default' as const },
      join: { value: [address], origin: 'flag' as const },
      quorum: { value: undefined, origin: 'default' as const },
      tasks: { value: [], origin: 'default' as const },
    }
    return { ...context, settings, passed: undefined }
  }

  /** What the liar says of itself in the end: how many of its answers were confirmed, and how many were not. */
  async stopLiar(): Promise<Liar> {
    const said = await this.#liar?.stop()
    return {
      publicKey: this.#liarKey,
      computed: Number(said?.computed ?? 0),
      agreed: Number(said?.agreed ?? 0),
      disagreed: Number(said?.disagreed ?? 0),
    }
  }

  /** Lets all finish. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.stop()))
  }

  /** Ends all at once. */
  async kill(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.kill()))
  }

  /** What processes that ended on their own had to say. */
  logs(): string {
    return this.#processes
      .filter((one) => one.hasExited && one.log !== '')
      .map((one) => `${one.name}: ${one.log.trim()}`)
      .join('\n')
  }

  #peer(name: string, more: readonly string[]): DemoProcess {
    return this.#spawn(name, ['node', '--listen', '127.0.0.1:0', '--cpus', '0', ...more], {})
  }

  #worker(name: string, address: string, environment: Readonly<Record<string, string>>): DemoProcess {
    return this.#spawn(name, ['work', '--cpus', '1', '--join', address], environment)
  }

  #spawn(name: string, args: readonly string[], environment: Readonly<Record<string, string>>): DemoProcess {
    const data = join(this.#folder, name.replaceAll(' ', '-'))
    const config = { XDG_CONFIG_HOME: this.#folder, LOCALAPPDATA: this.#folder }
    const shared = ['--data', data, '--network', this.#network, '--json', '--quiet', '--stop-at-eof']
    const started = new DemoProcess(name, MAIN, [...args, ...shared], { ...config, ...environment })
    this.#processes.push(started)
    return started
  }
}

interface Liar {
  readonly publicKey: string
  readonly computed: number
  readonly agreed: number
  readonly disagreed: number
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
  const prepared = await prepareJob(context, {
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
    const built = finishJob(prepared.built, {
      submitter: signer.publicKey,
      peers: await overlay.estimatePeers(),
      unitMs: 0,
    })
    output.note(`manyhands submit primes --range ${RANGE} --quorum ${QUORUM} --wait`)
    const startedAt = clock.now()
    const { jobId } = await submitJob(client, built, { list, summary: prepared.summary })
    const job = await client.job(jobId)
    const reader = new ResultsReader(client, job, {
      follow: true,
      signal: context.interrupts.first,
      onProgress: (progress) => follower.look(progress),
    })
    const votes = new Map<string, number>()
    async function* counted(): AsyncGenerator<UnitAnswer, void, undefined> {
      for await (const answer of reader) {
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
    await prepared.files.close()
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
