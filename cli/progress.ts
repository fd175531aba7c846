import cliProgress from 'cli-progress'
import { printable } from '../proto/status.js'
import type { Clock, Millis } from '../runtime/clock.js'
import type { Output } from './output.js'

/** What a bar shows. */
export interface ProgressState {
  readonly done: number
  readonly total: number
  /** A few words behind the bar; what they say may come from strangers. */
  readonly text: string
}

/** Shows how far something is. */
export interface Progress {
  show(state: ProgressState): void
  /** A line of its own: above the bar, or among the lines. */
  say(text: string): void
  /** Takes the bar away. Safe to call twice. */
  stop(): void
}

/** Without a terminal, a line is written at most this often, and at the end. Unit: ms. */
const LINE_EVERY_MS: Millis = 3_000
const SILENT: Progress = { show() {}, say() {}, stop() {} }

/** A bar on a terminal, plain lines elsewhere, nothing with `--quiet` and `--json`. All of it on stderr. */
export function startProgress(output: Output, clock: Clock): Progress {
  if (output.quiet || output.json) return SILENT
  return output.isInteractive ? new Bar(output) : new Lines(output, clock)
}

class Bar implements Progress {
  readonly #output: Output
  #bar: cliProgress.SingleBar | undefined
  #last: ProgressState | undefined

  constructor(output: Output) {
    this.#output = output
  }

  show(state: ProgressState): void {
    const text = printable(state.text)
    this.#last = state
    if (this.#bar === undefined) {
      this.#bar = new cliProgress.SingleBar({
        format: '{bar} {percentage}% | {value}/{total} | {text}',
        barCompleteChar: '#',
        barIncompleteChar: '-',
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
        stopOnComplete: false,
        gracefulExit: false,
        fps: 10,
        stream: this.#output.errorStream as unknown as NodeJS.WritableStream,
      })
      this.#bar.start(Math.max(1, state.total), state.done, { text })
      return
    }
    this.#bar.setTotal(Math.max(1, state.total))
    this.#bar.update(state.done, { text })
  }

  say(text: string): void {
    const last = this.#last
    this.stop()
    this.#output.note(text)
    if (last !== undefined) this.show(last)
  }

  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
    this.#last = undefined
  }
}

class Lines implements Progress {
  readonly #output: Output
  readonly #clock: Clock
  #lastAt: Millis | undefined
  #lastText = ''

  constructor(output: Output, clock: Clock) {
    this.#output = output
    this.#clock = clock
  }

  show({ done, total, text }: ProgressState): void {
    const now = this.#clock.now()
    const isLast = done === total
    if (!isLast && this.#lastAt !== undefined && now - this.#lastAt < LINE_EVERY_MS) return
    // What is behind the numbers changes all the time; the numbers alone say whether anything is new.
    if (`${done}/${total}` === this.#lastText) return
    const line = `${done}/${total}${text === '' ? '' : `  ${printable(text)}`}`
    this.#lastAt = now
    this.#lastText = `${done}/${total}`
    this.#output.note(line)
  }

  say(text: string): void {
    this.#output.note(text)
  }

  stop(): void {}
}
