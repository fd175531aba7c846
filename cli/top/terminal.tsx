import { type Instance, render } from 'ink'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import type { KeyPress } from './core/messages.js'
import { FrameWriter } from './frame-writer.js'
import { Screen, sameLine } from './screen.js'
import { EMPTY, type Line } from './view/line.js'

/** Least time between two frames when the grid has changed, and when a key was pressed. Unit: ms. */
const FRAME_MS: Millis = 500
const KEY_FRAME_MS: Millis = 50
/** Whoever drags the edge of a window sends many sizes. Unit: ms. */
const RESIZE_MS: Millis = 60
/** Size of the terminal in columns and rows. */
interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

interface TerminalOptions {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly clock: Clock
  readonly isColoured: boolean
  /** What is to be shown now. */
  readonly draw: () => readonly Line[]
  readonly onKeys: (keys: readonly KeyPress[]) => void
  readonly onResize: (size: TerminalSize) => void
}

/** Shows frames on the alternate screen of a terminal, at most two a second, and one at once after a key. */
export class Terminal {
  readonly #o: TerminalOptions
  readonly #writer: FrameWriter
  #ink: Instance | undefined
  #lines: readonly Line[] = []
  #drawnAt: Millis = Number.NEGATIVE_INFINITY
  #next: { readonly timer: Timer; readonly at: Millis } | undefined
  #resizing: Timer | undefined
  #closed = false

  constructor(options: TerminalOptions) {
    this.#o = options
    this.#writer = new FrameWriter(options.stdout)
  }

  get size(): TerminalSize {
    const { columns, rows } = this.#writer
    return { columns, rows }
  }

  open(): void {
    const { stdout, draw } = this.#o
    this.#writer.enter()
    // However the process ends, the shell gets its screen back.
    process.once('exit', this.#leave)
    stdout.on('resize', this.#resized)
    this.#show(draw())
  }

  /** Something may have changed: a frame is drawn soon. `urgent`: a person waits for it. */
  changed(urgent = false): void {
    if (this.#closed) return
    const { clock } = this.#o
    const at = Math.max(clock.now(), this.#drawnAt + (urgent ? KEY_FRAME_MS : FRAME_MS))
    if (this.#next !== undefined && this.#next.at <= at) return
    this.#next?.timer.cancel()
    this.#next = { at, timer: clock.setTimer(at - clock.now(), () => this.#frame()) }
  }

  /** Gives the terminal back. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#next?.timer.cancel()
    this.#resizing?.cancel()
    this.#o.stdout.off('resize', this.#resized)
    this.#ink?.unmount()
    this.#leave()
    process.off('exit', this.#leave)
  }

  readonly #leave = () => {
    this.#writer.leave()
  }

  readonly #resized = () => {
    this.#resizing?.cancel()
    this.#resizing = this.#o.clock.setTimer(RESIZE_MS, () => {
      if (this.#closed) return
      this.#writer.forget()
      this.#lines = []
      this.#o.onResize(this.size)
      this.#show(this.#o.draw())
    })
  }

  #frame(): void {
    this.#next = undefined
    if (this.#closed) return
    this.#show(this.#o.draw())
  }

  /** Renders the rows that differ from what was shown last. */
  #show(lines: readonly Line[]): void {
    const changed: number[] = []
    for (let row = 0; row < Math.max(lines.length, this.#lines.length); row++) {
      const before = this.#lines[row]
      if (before === undefined || !sameLine(lines[row] ?? EMPTY, before)) changed.push(row)
    }
    this.#lines = lines
    if (changed.length === 0) return
    this.#drawnAt = this.#o.clock.now()
    this.#writer.place(changed)
    const screen = this.#screen(changed.map((row) => lines[row] ?? EMPTY))
    if (this.#ink !== undefined) this.#ink.rerender(screen)
    else
      this.#ink = render(screen, {
        stdin: this.#o.stdin,
        stdout: this.#writer as unknown as NodeJS.WriteStream,
        // What is rendered, as it is: the writer knows where it belongs.
        debug: true,
        exitOnCtrlC: false,
        patchConsole: false,
      })
  }

  #screen(lines: readonly Line[]) {
    const { isColoured, onKeys } = this.#o
    return <Screen lines={lines} columns={this.size.columns} isColoured={isColoured} onKeys={onKeys} />
  }
}
