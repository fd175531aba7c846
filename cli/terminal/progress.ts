import cliProgress from 'cli-progress'
import { printable } from '../../proto/printable.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import type { Output } from './output.js'

/** What a bar shows. */
interface ProgressState {
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

/** A bar on a terminal, plain lines elsewhere, nothing with `--quiet` and `--json`. All of it on stderr. Lines begin with `linePrefix`. */
export function startProgress(output: Output, clock: Clock, linePrefix = ''): Progress {
  if (output.quiet || output.json) return SILENT
  return output.isInteractive ? new Bar(output) : new Lines(output, clock, linePrefix)
}

/** Shows how far several things are, each by its name. */
interface ProgressBoard {
  show(name: string, state: ProgressState): void
  /** Takes the bars away. Safe to call twice. */
  stop(): void
}

/** A bar a name on a terminal, in the order of `names`; lines that begin with the name elsewhere. All of it on stderr. */
export function startProgressBoard(output: Output, clock: Clock, names: readonly string[]): ProgressBoard {
  if (output.isInteractive) return new Bars(output, names)
  const lines = new Map(names.map((name) => [name, startProgress(output, clock, `${name}  `)]))
  return { show: (name, state) => lines.get(name)?.show(state), stop() {} }
}

const BAR_STYLE = {
  barCompleteChar: '#',
  barIncompleteChar: '-',
  barsize: 24,
  hideCursor: true,
  clearOnComplete: true,
  stopOnComplete: false,
  gracefulExit: false,
  fps: 10,
} as const

class Bars implements ProgressBoard {
  readonly #multi: cliProgress.MultiBar
  readonly #bars: ReadonlyMap<string, cliProgress.SingleBar>

  constructor(output: Output, names: readonly string[]) {
    const width = Math.max(...names.map((name) => name.length))
    this.#multi = new cliProgress.MultiBar({
      ...BAR_STYLE,
      format: '{name} {bar} {percentage}% | {value}/{total} | {text}',
      stream: output.errorStream as unknown as NodeJS.WritableStream,
    })
    this.#bars = new Map(
      names.map((name) => [name, this.#multi.create(1, 0, { name: name.padEnd(width), text: '' })] as const),
    )
  }

  show(name: string, { done, total, text }: ProgressState): void {
    const bar = this.#bars.get(name)
    bar?.setTotal(Math.max(1, total))
    bar?.update(done, { text: printable(text) })
  }

  stop(): void {
    this.#multi.stop()
  }
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
        ...BAR_STYLE,
        format: '{bar} {percentage}% | {value}/{total} | {text}',
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
  readonly #prefix: string
  #lastAt: Millis | undefined
  #lastText = ''

  constructor(output: Output, clock: Clock, prefix: string) {
    this.#output = output
    this.#clock = clock
    this.#prefix = prefix
  }

  show({ done, total, text }: ProgressState): void {
    const now = this.#clock.now()
    const isLast = done === total
    if (!isLast && this.#lastAt !== undefined && now - this.#lastAt < LINE_EVERY_MS) return
    // What is behind the numbers changes all the time; the numbers alone say whether anything is new.
    if (`${done}/${total}` === this.#lastText) return
    const line = `${this.#prefix}${done}/${total}${text === '' ? '' : `  ${printable(text)}`}`
    this.#lastAt = now
    this.#lastText = `${done}/${total}`
    this.#output.note(line)
  }

  say(text: string): void {
    this.#output.note(text)
  }

  stop(): void {}
}
