import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call } from '../../../cli/sandbox-check/assemble.js'
import { crash, printRandom, unlistedImport } from '../../../cli/sandbox-check/programs.js'
import { isModuleFile, isPath, readWasmFile, reportFacts } from '../../../client/content/wasm-file.js'
import type { GridError } from '../../../runtime/errors.js'
import { rejects } from '../../support/rejects.js'
import { run, temporaryFolder } from '../cli/run.js'

const folder = temporaryFolder()
const here = (name: string) => join(folder.path, name)
writeFileSync(here('random.wasm'), printRandom())
copyFileSync(here('random.wasm'), here('primes'))
writeFileSync(here('forbidden.wasm'), unlistedImport())
writeFileSync(here('crash.wasm'), crash())
writeFileSync(here('cut.wasm'), printRandom().subarray(0, 60))
// Well formed as the pass sees it, but it drops a value that is not there.
writeFileSync(here('broken.wasm'), assemble({ imports: ['proc_exit'], start: [0x1a] }))
writeFileSync(here('script.wasm'), '#!/bin/sh\n')

const refusal = async (reading: Promise<unknown>) => (await rejects(reading, 'invalid')) as GridError

const file = suite('readWasmFile')

file('a word with a slash or with .wasm at its end is a file', () => {
  assert.equal(['./geng', 'geng.wasm', 'a\\b', 'GENG.WASM', 'primes', 'primes@2', 'wasm'].map(isPath), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ])
})

file('a module is known by how it begins', async () => {
  assert.equal(await Promise.all(['primes', 'script.wasm', 'nothing', '.'].map((name) => isModuleFile(here(name)))), [
    true,
    false,
    false,
    false,
  ])
})

file('a module is admitted, and what was found is told', async () => {
  const read = await readWasmFile(here('random.wasm'), 64 * 2 ** 20)
  assert.is(read.name, 'random.wasm')
  assert.equal(read.report.imports, ['wasi_snapshot_preview1.random_get', 'wasi_snapshot_preview1.fd_write'])
  const facts = new Map(reportFacts(read))
  assert.is(facts.get('imports'), 'random_get fd_write')
  assert.is(facts.get('its memory'), '64 KiB at the start, 64 MiB at most')
  assert.match(facts.get('functions')!, /^1, without names/)
})

file('what is refused says which file, why and where', async () => {
  const refused = await refusal(readWasmFile(here('forbidden.wasm'), 2 ** 26))
  assert.match(refused.message, /forbidden\.wasm is refused: .*env.*import/s)
  assert.match(refused.hint ?? '', /docs\/programs\.md/)
  assert.match((await refusal(readWasmFile(here('broken.wasm'), 2 ** 26))).message, /not valid WebAssembly/)
  assert.match((await refusal(readWasmFile(here('cut.wasm'), 2 ** 26))).message, /cut short|ends in the middle/)
  writeFileSync(here('component.wasm'), Uint8Array.of(0, 97, 115, 109, 13, 0, 1, 0))
  assert.match(
    (await refusal(readWasmFile(here('component.wasm'), 2 ** 26))).message,
    /not a WebAssembly module of version 1.*not to a component/,
  )
  assert.match((await refusal(readWasmFile(here('script.wasm'), 2 ** 26))).message, /no WebAssembly module/)
})

file('a program that asks for more memory than its units may have is refused', async () => {
  writeFileSync(here('large.wasm'), assemble({ imports: ['proc_exit'], start: [0x41, 0, ...call(0)], pages: 100 }))
  const refused = await refusal(readWasmFile(here('large.wasm'), 2 ** 20))
  assert.match(refused.message, /memory/)
})

file.run()

const command = suite('programs on the command line')

command('a dry run shows the admission report, and needs no peer', async () => {
  const argv = ['submit', here('random.wasm'), '--count', '5', '--dry-run', '--json', '--', '{i}']
  const { code, stdout, stderr } = await run(argv, { home: folder.path })
  assert.is(code, 0, stderr)
  const shown = JSON.parse(stdout) as Record<string, Record<string, unknown>>
  assert.equal(shown.admission?.imports, ['wasi_snapshot_preview1.random_get', 'wasi_snapshot_preview1.fd_write'])
  assert.is(shown.trial?.finished, true)
  const fuel = Number(shown.trial?.fuel)
  assert.ok(fuel > 0)
  assert.is(shown.estimate?.fuel, String(fuel * 5))
})

command('run-local prints the outputs of units one after another', async () => {
  const argv = ['run-local', here('random.wasm'), '--count', '2', '--json', '--cpus', '1']
  const { code, stdout } = await run(argv, { home: folder.path })
  assert.is(code, 0)
  const { resultBase64, fuel } = JSON.parse(stdout) as { resultBase64: string; fuel: string }
  const bytes = Buffer.from(resultBase64, 'base64')
  assert.is(bytes.length, 64)
  // ChaCha20 under the key of seed 0 and unit 0, as any other implementation gives it.
  assert.is(bytes.subarray(0, 8).toString('hex'), 'b3e183cf865c56e9')
  assert.is.not(bytes.subarray(32, 40).toString('hex'), 'b3e183cf865c56e9')
  assert.ok(Number(fuel) > 0)
})

command('a program that crashes when tried is not submitted, and where it crashed is said', async () => {
  const { code, stderr } = await run(['submit', here('crash.wasm'), '--count', '5', '--dry-run'], { home: folder.path })
  assert.is(code, 2)
  assert.match(stderr, /unit 0 fails when tried here: the program crashed: unreachable in function 0\n/)
})

command('a job file may name a program, relative to itself', async () => {
  writeFileSync(here('job.toml'), 'task = "./random.wasm"\ncount = 3\nseed = 7\n')
  const argv = ['submit', '--from', here('job.toml'), '--dry-run', '--no-trial', '--json']
  const { code, stdout, stderr } = await run(argv, { home: folder.path })
  assert.is(code, 0, stderr)
  assert.is((JSON.parse(stdout) as { units: number }).units, 3)
})

command('without a source the hint is an example with that program', async () => {
  const { code, stderr } = await run(['submit', here('random.wasm')], { home: folder.path })
  assert.is(code, 2)
  assert.match(stderr, /manyhands submit \S+random\.wasm --count 100 -- \{i\} \{n\}/)
})

command.after(() => folder.close())
command.run()
