import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { eventually } from '../deadline.js'

/** Whether this machine has tmux, by which tests see a terminal as a person does. */
export function hasTmux(): boolean {
  return spawnSync('tmux', ['-V']).status === 0
}

/** Time for a screen to show what it should. Unit: ms. */
const SHOWN_MS = 60_000

/** A program on a terminal of its own. */
export class TmuxScreen {
  readonly #socket: string

  /** Runs `command`, as a shell reads it, on `columns` by `rows`; the socket of tmux lies in `folder`. */
  constructor(folder: string, command: string, columns: number, rows: number) {
    this.#socket = join(folder, 'tmux')
    const size = ['-x', String(columns), '-y', String(rows)]
    const { TMUX: _, ...environment } = process.env
    execFileSync('tmux', ['-u', '-S', this.#socket, '-f', '/dev/null', 'new-session', '-d', ...size, command], {
      env: { ...environment, LC_ALL: 'C.UTF-8', TERM: 'xterm-256color' },
    })
  }

  /** What the terminal shows, one string a row. */
  rows(): readonly string[] {
    return this.#tmux('capture-pane', '-p').split('\n').slice(0, -1)
  }

  get text(): string {
    return this.rows().join('\n')
  }

  /** A variable of tmux about the terminal, such as `pane_title`. */
  variable(name: string): string {
    return this.#tmux('display-message', '-p', `#{${name}}`).trim()
  }

  /** Presses keys by the names of tmux: `q`, `Enter`, `Down`, `Escape`. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys)
  }

  /** Types text, letter by letter. */
  type(text: string): void {
    this.#tmux('send-keys', '-l', text)
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows))
  }

  /** Waits until the screen matches; rejects with what it shows instead. */
  async until(pattern: RegExp, what: string): Promise<void> {
    let shown = ''
    try {
      await eventually(
        () => {
          shown = this.text
          return pattern.test(shown)
        },
        SHOWN_MS,
        what,
      )
    } catch (error) {
      throw new Error(`${(error as Error).message}; the screen shows:\n${shown}`)
    }
  }

  /** Whether the program has ended, and its terminal with it. */
  get hasEnded(): boolean {
    return spawnSync('tmux', ['-S', this.#socket, 'has-session']).status !== 0
  }

  /** Ends the program and tmux. Safe to call twice. */
  close(): void {
    spawnSync('tmux', ['-S', this.#socket, 'kill-server'])
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-S', this.#socket, ...args], { encoding: 'utf8' })
  }
}
