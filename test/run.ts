/**
 * Runs every compiled test file in a process of its own and adds up what uvu prints.
 *
 *   node dist/test/run.js [SUBSTRING...] [--limit SECONDS]
 *
 * Files are `{unit,property,simulation,e2e}/**\/*.test.js` next to this file, wherever it was compiled to. The last line is
 * `N passed, N failed`; exit code 1 when anything failed. A file that crashes, hangs, leaves processes behind or prints
 * no total counts as one failed test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, stripVTControlCharacters } from 'node:util'
import { packageRoot } from '../runtime/package-root.js'
import { withSourcePlaces } from './support/source-places.js'

/** Slowest kinds first, so that the lanes end at about the same time. */
const KINDS = ['e2e', 'simulation', 'property', 'unit']
/**
 * Test files at once. One more than a small machine has cores: those that start processes wait about as long as they compute.
 * Many more would make tests with deadlines compete.
 */
const LANES = 3
/**
 * Files that have the machine to themselves, before all others. A network of fifty peers that gets a fifth of it does not come to
 * rest: peers are taken for dead and dialled again, which costs more than knowing them, and nothing beside it gets anywhere.
 */
const ALONE: ReadonlySet<string> = new Set([join('e2e', 'overlay-processes.test.js')])
/** Time a file may take in all. Unit: s. */
const FILE_LIMIT_S = 300
/** Time a file has to end once its summary is printed; later than that, something was left open. Unit: ms. */
const EXIT_GRACE_MS = 10_000
/** Time the output of an ended file may stay open; later than that, a child of it still runs. Unit: ms. */
const OUTPUT_GRACE_MS = 5_000
/** Kept output of a file; what comes before is dropped. Unit: characters. */
const OUTPUT_CHARS_MAX = 200_000

interface Outcome {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Why the file as a whole is a failure, on top of its own tests. */
  readonly trouble: string | undefined
  readonly output: string
  readonly seconds: number
}

const testFolder = dirname(fileURLToPath(import.meta.url))
const sourceFolder = join(packageRoot, 'test')
const running = new Set<ChildProcess>()

/** Paths relative to the test folder. A compiled file whose source is gone is a leftover and not a test. */
function findFiles(filters: readonly string[]): string[] {
  const files: string[] = []
  for (const kind of KINDS) {
    const folder = join(testFolder, kind)
    if (!existsSync(folder)) continue
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    for (const name of names.filter((name) => name.endsWith('.test.js')).sort()) {
      const source = join(sourceFolder, kind, name.replace(/\.js$/, '.ts'))
      if (existsSync(sourceFolder) && !existsSync(source)) continue
      files.push(join(kind, name))
    }
  }
  return files.filter((file) => filters.every((filter) => file.split(sep).join('/').includes(filter)))
}

/** The totals of the last summary in `output`, or undefined when there is none. */
function readSummary(output: string): { total: number; passed: number; skipped: number } | undefined {
  const blocks = [...output.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm)]
  const last = blocks.at(-1)
  return last && { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) }
}

function runFile(file: string, limitMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const startedAtMs = performance.now()
    let output = ''
    let trouble: string | undefined
    let exitGrace: NodeJS.Timeout | undefined
    let outputGrace: NodeJS.Timeout | undefined
    const child = spawn(process.execPath, [join(testFolder, file)], {
      cwd: packageRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    running.add(child)
    const stop = (reason: string) => {
      trouble ??= reason
      child.kill('SIGKILL')
    }
    const limit = setTimeout(() => {
      stop(`hung: not done after ${limitMs / 1000} s; the last suite named in its output is the one that hangs`)
    }, limitMs)
    const collect = (chunk: string) => {
      output = stripVTControlCharacters(output + chunk).slice(-OUTPUT_CHARS_MAX)
      if (exitGrace === undefined && readSummary(output)) {
        exitGrace = setTimeout(
          () => stop('its tests are done but the process does not end: something is left open'),
          EXIT_GRACE_MS,
        )
      }
    }
    child.stdout.setEncoding('utf8').on('data', collect)
    child.stderr.setEncoding('utf8').on('data', collect)
    child.on('error', (error) => {
      trouble = `cannot start: ${error.message}`
      finish(null, null)
    })
    let exit: [number | null, NodeJS.Signals | null] = [null, null]
    child.on('exit', (code, signal) => {
      exit = [code, signal]
      clearTimeout(limit)
      clearTimeout(exitGrace)
      outputGrace = setTimeout(() => {
        trouble ??= 'left a child process behind that holds its output open'
        child.stdout.destroy()
        child.stderr.destroy()
      }, OUTPUT_GRACE_MS)
    })
    child.on('close', () => finish(...exit))
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      for (const timer of [limit, exitGrace, outputGrace]) clearTimeout(timer)
      running.delete(child)
      const summary = readSummary(output)
      const failed = summary ? summary.total - summary.passed : 0
      if (!summary || summary.total + summary.skipped === 0) trouble ??= 'ran no tests'
      if (signal !== null) trouble ??= `ended by ${signal}`
      if (code === 0 && failed > 0) trouble ??= 'a before or after hook failed; uvu hides what it threw'
      if (code !== 0 && failed === 0) trouble ??= `exit code ${code} although no test failed`
      resolve({
        passed: summary?.passed ?? 0,
        failed: failed + (trouble === undefined ? 0 : 1),
        skipped: summary?.skipped ?? 0,
        trouble,
        output,
        seconds: (performance.now() - startedAtMs) / 1000,
      })
    }
  })
}

function show(file: string, outcome: Outcome): void {
  const good = outcome.failed === 0
  const skipped = outcome.skipped > 0 ? `, ${outcome.skipped} skipped` : ''
  const counts = `${outcome.passed} passed${good ? '' : `, ${outcome.failed} failed`}${skipped}`
  console.log(`${good ? 'ok  ' : 'FAIL'}  ${file}  ${counts}  ${outcome.seconds.toFixed(1)} s`)
  if (good) return
  if (outcome.trouble !== undefined) console.log(`      ${outcome.trouble}`)
  console.log(withSourcePlaces(outcome.output).replace(/^/gm, '      '))
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { limit: { type: 'string' } } })
  const limitMs = Number(values.limit ?? FILE_LIMIT_S) * 1000
  if (!(limitMs > 0)) throw new Error(`--limit must be a number of seconds above 0, not ${values.limit}`)
  const files = findFiles(positionals)
  if (files.length === 0) {
    console.log(`no test file matches ${positionals.join(' ') || testFolder}`)
    console.log('0 passed, 1 failed')
    process.exitCode = 1
    return
  }
  let passed = 0
  let failed = 0
  let skipped = 0
  const runAll = async (queue: Iterable<string>) => {
    for (const file of queue) {
      const outcome = await runFile(file, limitMs)
      show(relative('.', join('test', file)), outcome)
      passed += outcome.passed
      failed += outcome.failed
      skipped += outcome.skipped
    }
  }
  await runAll(files.filter((file) => ALONE.has(file)))
  const queue = files.filter((file) => !ALONE.has(file)).values()
  await Promise.all(Array.from({ length: LANES }, () => runAll(queue)))
  if (skipped > 0) console.log(`${skipped} skipped`)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.exit(130)
  })
}

await main()
