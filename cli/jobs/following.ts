import type { JobProgress } from '../../client/follow/watch.js'
import type { UnitAnswer } from '../../client/results/answer.js'
import type { JobId } from '../../proto/model.js'
import type { Millis, Timer } from '../../runtime/clock.js'
import { type CommandContext, sameNetworkFlags, workerFlags } from '../context.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { type Progress, startProgress } from '../terminal/progress.js'
import { countsText, paceText, shortId, waitingAdvice } from './job-view.js'

/** The exit code that a job's last look stands for. */
export function exitOf({ end, summary }: JobProgress): ExitCode {
  if (summary.disputed > 0 && end !== undefined) return EXIT.disputed
  if (end === 'finished') return summary.failed > 0 ? EXIT.failed : EXIT.ok
  if (end === 'expired') return EXIT.unknownJob
  return end === undefined ? EXIT.ok : EXIT.failed
}

/** A reason to wait is worth a line once it has held for so long: workers need a moment to come. Unit: ms. */
const WAITING_MS: Millis = 2_000

/** Shows looks at a job as they come: a bar, and a line for each reason to wait that holds. */
export class Follower {
  readonly #context: CommandContext
  readonly #progress: Progress
  #waiting = ''
  #said = ''
  #timer: Timer | undefined
  #last: JobProgress | undefined
  #answers = 0
  #failures = 0

  constructor(context: CommandContext) {
    this.#context = context
    this.#progress = startProgress(context.output, context.clock)
  }

  /** The last look. */
  get last(): JobProgress | undefined {
    return this.#last
  }

  look(progress: JobProgress): void {
    this.#last = progress
    const { waiting } = progress
    if (waiting !== this.#waiting) {
      this.#waiting = waiting
      this.#timer?.cancel()
      this.#timer = waiting === '' ? undefined : this.#context.clock.setTimer(WAITING_MS, () => this.#sayWaiting())
    }
    this.#show()
  }

  /** A result was proved here. The home hears of it from owners once a second: whichever knows more is shown. */
  answered(state: UnitAnswer['state']): void {
    this.#answers++
    if (state === 'failed') this.#failures++
    this.#show()
  }

  #show(): void {
    if (this.#last === undefined) return
    const { summary } = this.#last
    const { settled, units } = summary
    const done = Math.max(settled + summary.failed, Math.min(this.#answers, units))
    const failed = Math.max(summary.failed, Math.min(this.#failures, units))
    // The estimate is the home's, which may not have heard yet that nothing is left.
    const eta = done === units ? undefined : this.#last.eta
    this.#progress.show({
      done,
      total: units,
      text: paceText({ ...this.#last, summary: { ...summary, failed }, eta, waiting: '' }),
    })
  }

  say(text: string): void {
    this.#progress.say(text)
  }

  #sayWaiting(): void {
    if (this.#waiting === this.#said) return
    this.#said = this.#waiting
    const advice = waitingAdvice(this.#waiting, workerFlags(this.#context))
    this.#progress.say(advice === '' ? this.#waiting : `${this.#waiting}; ${advice}`)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#progress.stop()
  }

  /** Ctrl-C while waiting: the job goes on, and this is how to come back to it. */
  detach(jobId: JobId): ExitCode {
    this.stop()
    const flags = sameNetworkFlags(this.#context)
    const where = this.#last === undefined ? '' : ` (${countsText(this.#last.summary)})`
    this.#context.output.note(
      [
        `detached; job ${shortId(jobId)} goes on${where}`,
        `  watch it:    manyhands watch ${shortId(jobId)}${flags}`,
        `  its result:  manyhands results ${shortId(jobId)}${flags}`,
        `  stop it:     manyhands cancel ${shortId(jobId)}${flags}`,
      ].join('\n'),
    )
    return EXIT.interrupted
  }
}
