import { formatAddress } from '../../overlay/address.js'
import type { LocalServer } from '../../overlay/channel/grpc-local.js'
import { serveAdmin } from '../../process/admin/admin-service.js'
import { LogRing } from '../../process/admin/log-ring.js'
import { ProcessView } from '../../process/admin/process-view.js'
import { openSocketFolder } from '../../process/admin/socket-path.js'
import { type GridProcess, startProcess } from '../../process/compose.js'
import { announceLocalProcess } from '../../process/local-process.js'
import { type MetricsServer, serveMetrics } from '../../process/metrics/metrics-server.js'
import type { ProcessSettings } from '../../process/settings.js'
import type { JobId } from '../../proto/model.js'
import { printable } from '../../proto/printable.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { makeFolders } from '../../runtime/folders.js'
import type { WorkerNow } from '../../worker/tally.js'
import type { CommandContext } from '../context.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { aborting } from '../terminal/interrupts.js'
import { plural } from '../terminal/output.js'
import { cutToWidth } from '../terminal/text-width.js'
import { metricsAt } from './process-settings.js'
import { workLine } from './work-line.js'

/** How often the status line of a worker is looked at. Unit: ms. */
const LOOK_MS: Millis = 250
/**
 * Without a terminal, a status line is written when something changed: a second after the first, then twice as long from line to
 * line, while somebody may be looking, up to the longest time. Unit: ms.
 */
const FIRST_LINE_MS: Millis = 1_000
const LINE_MS: Millis = 30_000
/** On a terminal it is drawn again at most this often. Unit: ms. */
const DRAW_MS: Millis = 1_000

/** When a process that runs until it is told to end says something, and ends by itself. */
export interface Running {
  /** Called once the process runs. */
  readonly onReady: (process: GridProcess) => void
  /** Draw a status line of the worker. */
  readonly statusLine: boolean
  /** End once the worker has done all that its volunteer asked for. */
  readonly endWhenDone: boolean
  /** End when standard input does: for programs that start this one. */
  readonly stopAtEof: boolean
}

/**
 * Runs a process until it is told to stop: the first Ctrl-C finishes or hands back what is in hand, the second leaves at
 * once. What the worker did is the last thing said.
 */
export async function runProcess(
  context: CommandContext,
  settings: ProcessSettings,
  running: Running,
): Promise<ExitCode> {
  const { interrupts, clock, output } = context
  const log = new LogRing(clock)
  const logger = log.around(settings.logger)
  const at = metricsAt(context)
  const metrics = at && (await import('../../process/metrics/prometheus.js')).prometheusMetrics()
  const gridProcess = await startProcess({ ...settings, logger, ...(metrics && { meter: metrics }) })
  let forget: () => void = () => {}
  let metricsServer: MetricsServer | undefined
  let admin: LocalServer | undefined
  const drained = new AbortController()
  try {
    makeFolders(settings.dataFolder)
    const { endpoint } = gridProcess
    const view = new ProcessView(gridProcess, settings.network.name, clock)
    const socket = openSocketFolder(settings.dataFolder, {
      system: context.platform.system,
      runtimeFolder: context.platform.environment.XDG_RUNTIME_DIR || undefined,
    })
    admin = await serveAdmin(socket, {
      clock,
      logger,
      log,
      state: () => view.state(),
      worker: gridProcess.worker,
      drain: () => drained.abort(),
    })
    forget = announceLocalProcess(settings.dataFolder, {
      pid: process.pid,
      network: settings.network.name,
      address: endpoint === undefined ? undefined : `${endpoint.address}#${endpoint.nodeId}`,
      join: settings.join,
      admin: socket,
    })
    if (at !== undefined && metrics !== undefined) {
      metrics.watch(gridProcess)
      metricsServer = await serveMetrics(at, metrics, logger.child('metrics'))
      output.note(`metrics at http://${formatAddress(at.host, metricsServer.port)}/metrics`)
    }
    running.onReady(gridProcess)
    const status = new StatusLine(context)
    const over = new AbortController()
    const reasons: Promise<unknown>[] = [aborting(interrupts.first), aborting(drained.signal)]
    if (running.endWhenDone && gridProcess.worker !== undefined) reasons.push(gridProcess.worker.done)
    if (running.stopAtEof) reasons.push(endOf(context.stdin))
    void watchWorker(gridProcess, settings.onlyJob, running, status, context, over.signal)
    await Promise.race(reasons)
    over.abort()
    status.clear()
    if (interrupts.second.aborted) return EXIT.interrupted
    const worker = gridProcess.worker
    if (worker !== undefined && worker.now().held > 0) {
      output.note(`finishing ${plural(worker.now().held, 'unit')} in hand; Ctrl-C again leaves at once`)
    }
    await Promise.race([gridProcess.drain(), aborting(interrupts.second)])
    if (worker !== undefined) sayGoodbye(context, worker.now())
    return interrupts.second.aborted ? EXIT.interrupted : EXIT.ok
  } finally {
    forget()
    await metricsServer?.close()
    metrics?.close()
    await gridProcess.close()
    await admin?.close()
  }
}

/** Shows the status of the worker until `signal` aborts. */
async function watchWorker(
  { worker, overlay }: GridProcess,
  onlyJob: JobId | undefined,
  { statusLine }: Running,
  status: StatusLine,
  { clock }: CommandContext,
  signal: AbortSignal,
): Promise<void> {
  while (worker !== undefined && statusLine && !signal.aborted) {
    status.show(() =>
      workLine({
        state: worker.state(),
        onlyJob,
        joined: overlay.joined,
        unreached: overlay.unreached,
        nameOf: (key) => worker.governor.nameOf(key),
        nowMs: clock.wallMs(),
      }),
    )
    await pause(clock, LOOK_MS, signal)
  }
}

async function endOf(stdin: CommandContext['stdin']): Promise<void> {
  for await (const _ of stdin) {
    // Only its end counts.
  }
}

function sayGoodbye({ output }: CommandContext, { computed, agreed, disagreed, unsettled }: WorkerNow): void {
  if (output.json) output.value({ computed, agreed, disagreed, unsettled })
  else
    output.note(
      `computed ${plural(computed, 'unit')}: ${agreed} agreed with others, ${disagreed} did not, ${unsettled} still to be settled`,
    )
}

class StatusLine {
  readonly #context: CommandContext
  #lastAt: Millis | undefined
  #lastText = ''
  #lineEveryMs: Millis = FIRST_LINE_MS

  constructor(context: CommandContext) {
    this.#context = context
  }

  /** `line`: what to say, if it is time to. */
  show(line: () => string): void {
    const { output, clock } = this.#context
    if (output.quiet || output.json) return
    const at = clock.now()
    const everyMs = output.isInteractive ? DRAW_MS : this.#lineEveryMs
    if (this.#lastAt !== undefined && at - this.#lastAt < everyMs) return
    const text = printable(line())
    if (text === this.#lastText) return
    this.#lastAt = at
    if (this.#lastText !== '') this.#lineEveryMs = Math.min(LINE_MS, 2 * this.#lineEveryMs)
    this.#lastText = text
    if (!output.isInteractive) output.note(text)
    else output.errorStream.write(`\r\u001b[2K${cutToWidth(text, (output.errorStream.columns ?? 80) - 1)}`)
  }

  clear(): void {
    if (this.#context.output.isInteractive && this.#lastText !== '')
      this.#context.output.errorStream.write('\r\u001b[2K')
  }
}
