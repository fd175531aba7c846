import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommandLine } from '../../../cli/program.js'
import { Interrupts } from '../../../cli/terminal/interrupts.js'
import type { Sink } from '../../../cli/terminal/output.js'
import { systemClock } from '../../../runtime/clock.js'

/** What is written to it, as text. */
export class TextSink implements Sink {
  text = ''
  readonly isTTY: boolean

  constructor(isTTY = false) {
    this.isTTY = isTTY
  }

  write(chunk: string | Uint8Array): boolean {
    this.text += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk)
    return true
  }
}

interface RunResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A folder of its own for one test; `close` removes it. */
export function temporaryFolder(): { readonly path: string; close(): void } {
  const path = mkdtempSync(join(tmpdir(), 'manyhands-test-'))
  return { path, close: () => rmSync(path, { recursive: true, force: true }) }
}

/** Runs one command line in this process, with a home of its own below `home` and nothing of this machine's settings. */
export async function run(
  argv: readonly string[],
  {
    home = '/nonexistent',
    environment = {},
    stdin = '',
  }: { home?: string; environment?: Record<string, string>; stdin?: string } = {},
): Promise<RunResult> {
  const stdout = new TextSink()
  const stderr = new TextSink()
  const code = await runCommandLine(argv, {
    stdin: (async function* () {
      yield stdin
    })(),
    stdout,
    stderr,
    platform: { system: 'linux', environment, home },
    clock: systemClock,
    interrupts: new Interrupts(),
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}
