import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../runtime/package-root.js'
import { WASI_MODULE } from '../sandbox/admission/index.js'
import { engine } from '../sandbox/engine.js'
import { admit, runProgram } from '../sandbox/index.js'
import { WasiHost } from '../sandbox/wasi/host.js'
import { openLayout } from '../sandbox/wasi/layout.js'
import { Stop } from '../sandbox/wasi/stop.js'

const MEMORY_BYTES = 256 * 2 ** 20
const OUTPUT_BYTES = 2 ** 20
const FOLDER = join(packageRoot, '.build/bench-programs')
const CORPUS = join(packageRoot, 'test/corpus')
const WASI_FLAGS = ['--target=wasm32-wasi', '-nostdlibinc', '-isystem', '/usr/include/wasm32-wasi', '-lm']

/** A C program of `test/corpus/c` with arguments that make it compute for some tenths of a second. */
export interface BenchProgram {
  readonly name: string
  readonly args: readonly string[]
  /** `other`: this machine's C library computes parts of it in another way, so its answer may differ, and its time. */
  readonly native?: 'other'
}

/** A program compiled in three ways. */
export interface Compiled {
  readonly program: BenchProgram
  readonly wasm: Uint8Array
  /** Path of the machine's own, or undefined without a C compiler. */
  readonly native: string | undefined
}

/** Compiles a program with clang-19 for the sandbox and with gcc for this machine, both with -O2. Throws without clang-19. */
export function compile(program: BenchProgram): Compiled {
  mkdirSync(FOLDER, { recursive: true })
  const source = join(CORPUS, 'c', `${program.name}.c`)
  const wasm = join(FOLDER, `${program.name}.wasm`)
  const native = join(FOLDER, program.name)
  execFileSync('clang-19', [...WASI_FLAGS, '-O2', '-Wl,--strip-all', source, '-o', wasm])
  const hasGcc = succeeds('gcc', ['--version'])
  if (hasGcc) execFileSync('gcc', ['-O2', '-w', source, '-o', native, '-lm'])
  return { program, wasm: readFileSync(wasm), native: hasGcc ? native : undefined }
}

/** One run: what was printed, and the processor time it took, which other programs on the machine disturb least. */
export interface Run {
  readonly output: string
  /** Unit: ms. */
  readonly ms: number
}

/** Modules of the whole corpus without names, and nauty's geng if `examples/geng/build.sh` was run. Throws without clang-19. */
export function manyModules(): readonly Uint8Array[] {
  const folder = join(FOLDER, 'corpus')
  execFileSync('sh', [join(CORPUS, 'build.sh'), folder, '-Wl,--strip-all'])
  const geng = join(packageRoot, 'examples/geng/build/geng.wasm')
  const files = readdirSync(folder).map((name) => join(folder, name))
  return [...files, ...(existsSync(geng) ? [geng] : [])].map((file) => readFileSync(file))
}

/** Runs the program as the grid does: admitted, with fuel. Gives its standard output. */
export function asUnit({ program, wasm }: Compiled): () => Run {
  const module = new engine.Module(admit(wasm, { memoryBytes: MEMORY_BYTES }).bytes)
  return timed(() => {
    const end = runProgram(module, inputOf(program), {
      fuel: 0n,
      memoryBytes: MEMORY_BYTES,
      outputBytes: OUTPUT_BYTES,
      stderrBytes: OUTPUT_BYTES,
    })
    if (end.outcome !== 'exit' || end.exitCode !== 0) throw new Error(`${program.name} ended in ${end.outcome}`)
    return new TextDecoder().decode(end.stdout)
  })
}

/** Runs the module as the compiler wrote it, with the same host and nothing else. */
export function asPlainModule({ program, wasm }: Compiled): () => Run {
  const module = new engine.Module(wasm)
  return timed(() => {
    const input = inputOf(program)
    const host = new WasiHost({ ...input, args: [input.name, ...input.args], spend: () => {} })
    const collect = openLayout(host, {
      ...input,
      outputBytes: OUTPUT_BYTES,
      stderrBytes: OUTPUT_BYTES,
      temporaryBytes: OUTPUT_BYTES,
    })
    const { exports } = new engine.Instance(module, { [WASI_MODULE]: host.imports })
    if (!(exports.memory instanceof engine.Memory) || typeof exports._start !== 'function')
      throw new Error(`${program.name} is no command`)
    host.attach(exports.memory)
    try {
      exports._start()
    } catch (error) {
      if (!(error instanceof Stop)) throw error
    }
    return new TextDecoder().decode(collect().stdout)
  })
}

/** Runs the machine's own program, start of the process included. */
export function asProcess({ program, native }: Compiled): (() => Run) | undefined {
  if (native === undefined) return undefined
  return () => {
    // The shell's `times` ends with the processor time of its children: user and system, as 0m0.120000s.
    const text = execFileSync('sh', ['-c', '"$0" "$@"; times', native, ...program.args]).toString()
    const lines = text.trimEnd().split('\n')
    const children = [...lines.at(-1)!.matchAll(/(\d+)m([\d.]+)s/g)]
    const ms = children.reduce(
      (sum, [, minutes, seconds]) => sum + 60_000 * Number(minutes) + 1000 * Number(seconds),
      0,
    )
    return { output: `${lines.slice(0, -2).join('\n')}\n`, ms }
  }
}

function timed(run: () => string): () => Run {
  return () => {
    const before = process.cpuUsage()
    const output = run()
    const { user, system } = process.cpuUsage(before)
    return { output, ms: (user + system) / 1000 }
  }
}

function inputOf(program: BenchProgram) {
  return {
    name: program.name,
    args: program.args,
    environment: new Map<string, string>(),
    stdin: new Uint8Array(0),
    files: new Map(),
    seed: 0n,
    unit: 0,
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
