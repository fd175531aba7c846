/*
 * Runs the public WASI test suite (https://github.com/WebAssembly/wasi-testsuite, preview 1) against this project's host:
 *
 *   git clone -b prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite
 *   node dist/test/conformance/wasi-testsuite.js wasi-testsuite [--json]
 *
 * Each program goes through admission first. Exit code 0 if nothing failed. Results are kept in docs/wasi.md.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { runConformanceTest, type TestSpecification } from './wasi-testcase.js'

/** Folders of the suite that hold preview 1 programs. */
const FOLDERS = ['assemblyscript', 'c', 'rust'].map((language) => `tests/${language}/testsuite/wasm32-wasip1`)

interface Result {
  readonly test: string
  readonly state: 'passed' | 'failed'
  readonly reason: string | undefined
}

function readFolder(path: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  if (!existsSync(path)) return files
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }))
    if (statSync(join(path, name)).isFile()) files.set(name.replaceAll('\\', '/'), readFileSync(join(path, name)))
  return files
}

function runTest(folder: string, name: string): Result {
  const test = `${folder.split('/')[1]}/${name}`
  const path = join(suitePath, folder, name)
  const specification: TestSpecification = existsSync(`${path}.json`)
    ? JSON.parse(readFileSync(`${path}.json`, 'utf8'))
    : {}
  const root = specification.root ?? specification.dirs?.[0]
  const files = root === undefined ? undefined : readFolder(join(suitePath, folder, root))
  const problem = runConformanceTest(readFileSync(`${path}.wasm`), specification, files)
  return { test, state: problem === undefined ? 'passed' : 'failed', reason: problem }
}

const [suitePath = '', option] = process.argv.slice(2)
if (suitePath === '' || (option !== undefined && option !== '--json')) {
  console.error('usage: wasi-testsuite.js PATH-OF-THE-SUITE [--json]')
  process.exit(2)
}
const folders = FOLDERS.filter((folder) => existsSync(join(suitePath, folder)))
const results = folders.flatMap((folder) =>
  readdirSync(join(suitePath, folder))
    .filter((file) => file.endsWith('.wasm'))
    .sort()
    .map((file) => runTest(folder, basename(file, '.wasm'))),
)
const count = (state: Result['state']) => results.filter((result) => result.state === state).length
const summary = { passed: count('passed'), failed: count('failed') }
if (results.length === 0) {
  console.error(`no programs below ${suitePath}: take the branch prod/testsuite-base, which has them compiled`)
  process.exit(2)
}
if (option === '--json') console.log(JSON.stringify({ ...summary, results }, undefined, 2))
else {
  for (const { test, state, reason } of results) console.log(`${state} ${test}${reason ? `: ${reason}` : ''}`)
  console.log(`${summary.passed} passed, ${summary.failed} failed`)
}
process.exitCode = summary.failed === 0 ? 0 : 1
