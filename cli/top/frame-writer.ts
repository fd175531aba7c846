import { EventEmitter } from 'node:events'

/** The part of a terminal's output that frames are written to. */
export interface FrameTarget {
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
 * Takes whole frames, as ink writes them in its debug mode, and writes only the lines that differ from the frame before, each
 * to its place: nothing scrolls, flickers, or depends on where the cursor was left.
 */
export class FrameWriter extends EventEmitter {
  readonly isTTY = true
  readonly #target: FrameTarget
  #shown: readonly string[] = []

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

  /** What stands on the screen is no longer known: the next frame is written as a whole. */
  forget(): void {
    this.#shown = []
    this.#target.write(CLEAR)
  }

  /** One frame: lines between line breaks. Called by ink. */
  write(frame: string): boolean {
    if (frame === '') return true
    const lines = frame.split('\n').slice(0, this.rows)
    const count = Math.max(lines.length, this.#shown.length)
    let text = ''
    for (let row = 0; row < count; row++) {
      const line = lines[row] ?? ''
      if (line !== this.#shown[row]) text += `\u001b[${row + 1};1H${line}\u001b[0m\u001b[K`
    }
    this.#shown = lines
    if (text !== '') this.#target.write(`${BEGIN}${text}${END}`)
    return true
  }
}
