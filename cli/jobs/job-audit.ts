import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuditFindings, Auditor } from '../../client/replay/audit.js'
import { describeAudit, describeConvictions } from '../../client/replay/audit-text.js'
import type { KnownJob } from '../../client/session/session.js'
import type { AuditShares } from '../../job/audit/audit.js'
import { fetchedFile } from '../../process/fetched-file.js'
import type { UnitRange } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { threadCount } from '../../runtime/platform.js'
import { parseCpus } from '../../worker/preferences/cpus.js'
import type { CommandContext } from '../context.js'
import type { Connection } from '../grid/connect.js'
import { startProgress } from '../terminal/progress.js'
import { startLocalCompute } from './job-draft.js'

/** Time for replays of `submit --wait` and `results`: they are not what was asked for. Unit: ms. */
export const AUDIT_MS: Millis = 60_000
/** Time between two looks at a job that goes on, at least, and as a multiple of what reading took the last time. */
const ROUND_MS: Millis = 15_000
const FIRST_MS: Millis = 5_000
const ROUND_FACTOR = 10
/** Time between two looks while units are computed again, and after something false: whoever has a share in it has more. */
const AGAIN_MS: Millis = 1_000
const AGAIN_MAX_MS: Millis = 10_000
/** Times that results are audited anew since something was false. */
const ROUNDS_MAX = 16

interface JobAuditOptions {
  readonly shares?: AuditShares
  readonly units?: readonly UnitRange[]
  /** Time for computing in all; undefined: as long as it takes. */
  readonly replayMs?: Millis
}

/** Replays units of one job for a command: while it waits, and before it shows results. To be closed. */
export class JobAudit {
  readonly #context: CommandContext
  readonly #auditor: Auditor
  #folder: Promise<string> | undefined

  constructor(context: CommandContext, { client }: Connection, job: KnownJob, options: JobAuditOptions = {}) {
    this.#context = context
    const threads = Math.max(1, parseCpus(context.settings.cpus.value ?? '100%', threadCount()))
    this.#auditor = new Auditor(client, job, {
      ...(options.shares ? { shares: options.shares } : {}),
      ...(options.units ? { units: options.units } : {}),
      ...(options.replayMs === undefined ? {} : { replayMs: options.replayMs }),
      startCompute: (units) => startLocalCompute(context, job.spec.limits.memoryBytes, Math.min(threads, units)),
      createFile: async (blob) => {
        this.#folder ??= mkdtemp(join(tmpdir(), 'manyhands-audit-'))
        return fetchedFile(await this.#folder, blob)
      },
    })
  }

  get job(): KnownJob {
    return this.#auditor.job
  }

  get findings(): AuditFindings {
    return this.#auditor.findings
  }

  /** Audits a job that goes on, until `stop` aborts. What fails is tried again later: waiting goes on without it. */
  async along(stop: AbortSignal): Promise<void> {
    const { clock } = this.#context
    let pauseMs = FIRST_MS
    for (;;) {
      await pause(clock, pauseMs, stop)
      if (stop.aborted) return
      const startedAt = clock.now()
      const { computedMs } = this.#auditor
      let foundFalse = false
      try {
        foundFalse = await this.#auditor.round(false, stop)
      } catch (error) {
        if (stop.aborted) return
        this.#say(toGridError(error).message)
      }
      pauseMs = Math.max(
        foundFalse ? AGAIN_MS : ROUND_MS,
        ROUND_FACTOR * (clock.now() - startedAt - (this.#auditor.computedMs - computedMs)),
      )
    }
  }

  /**
   * Audits a job that has ended. With `follow`, what was found false is waited for until it is settled anew, and audited
   * again. Resolves when nothing more was found, or nothing is left to wait for. Throws GridError `closed` when interrupted.
   */
  async finish(follow: boolean): Promise<AuditFindings> {
    const { interrupts, output, clock } = this.#context
    const signal = interrupts.first
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const foundFalse = await this.#auditor.round(true, signal)
      if (!foundFalse) break
      if (!follow) {
        // What the rulings leave of the job is known only now.
        await this.#auditor.round(false, signal)
        break
      }
      const progress = startProgress(output, clock)
      try {
        for (let waitMs = AGAIN_MS; ; waitMs = Math.min(AGAIN_MAX_MS, waitMs * 1.5)) {
          await this.#auditor.round(false, signal)
          const { settled, units } = this.findings
          const { view } = this.job
          if (settled >= units || view.cancelled || clock.wallMs() >= view.expiresAtMs) break
          progress.show({ done: settled, total: units, text: 'computing again what leaned on false answers' })
          await pause(clock, waitMs, signal)
        }
      } finally {
        progress.stop()
      }
    }
    return this.findings
  }

  /** One line on what was replayed, one on what follows for liars. */
  tell(): void {
    const { output } = this.#context
    output.note(describeAudit(this.findings))
    const convictions = describeConvictions(this.findings)
    if (convictions !== '') output.warn(convictions)
  }

  async close(): Promise<void> {
    await this.#auditor.close()
    if (this.#folder !== undefined) await rm(await this.#folder, { recursive: true, force: true })
  }

  #say(reason: string): void {
    if (this.#context.output.verbose) this.#context.output.note(`not replayed for now: ${reason}`)
  }
}
