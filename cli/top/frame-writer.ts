import { EventEmitter } from 'node:events'

/** The part of a terminal's output that frames are written to. */
interface FrameTarget {
  write(text: string): unknown
  readonly columns?: number
  readonly rows?: number
}

/** The alternate screen, empty and without a cursor, and back to what stood there before (DEC private modes 1049 and 25). */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[2J'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const CLEAR = '\u001b[2J'
/** Terminals that know mode 2026 show what stands between at once; others ignore it. */
const BEGIN = '\u001b[?2026h'
const END = '\u001b[?2026l'
/** Size where the terminal does not tell. */
const COLUMNS = 80
const ROWS = 24

/**
 * Takes what ink renders, as ink writes it in its debug mode, and puts each line into the row it is for: nothing scrolls,
 * flickers, or depends on where the cursor was left. Only rows that are to change are rendered, as laying out a whole screen
 * of 200x60 takes ink some 25 ms.
 */
export class FrameWriter extends EventEmitter {
  readonly isTTY = true
  readonly #target: FrameTarget
  readonly #shown = new Map<number, string>()
  #places: readonly number[] = []

  constructor(target: FrameTarget) {
    super()
    this.#target = target
  }

  get columns(): number {
    return this.#target.columns || COLUMNS
  }

  get rows(): number {
    return this.#target.rows || ROWS
  }

  enter(): void {
    this.#target.write(ENTER)
  }

  leave(): void {
    this.#target.write(LEAVE)
  }

  /** What stands on the screen is no longer known, and wiped. */
  forget(): void {
    this.#shown.clear()
    this.#places = []
    this.#target.write(CLEAR)
  }

  /** The next frame has a line for each of these rows, from 0, in this order. */
  place(rows: readonly number[]): void {
    this.#places = rows
  }

  /** Lines between line breaks. Called by ink. */
  write(frame: string): boolean {
    const lines = frame.split('\n')
    let text = ''
    for (const [i, row] of this.#places.entries()) {
      const line = lines[i] ?? ''
      if (row >= this.rows || this.#shown.get(row) === line) continue
      this.#shown.set(row, line)
      text += `\u001b[${row + 1};1H${line}\u001b[0m\u001b[K`
    }
    if (text !== '') this.#target.write(`${BEGIN}${text}${END}`)
    return true
  }
}
