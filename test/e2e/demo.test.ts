import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually } from '../support/deadline.js'

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
/** Its own folder for temporary files shows what a demo leaves behind, and names it in the command lines of its children. */
const folder = mkdtempSync(join(tmpdir(), 'manyhands-demo-test-'))

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, 'demo', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  return { child, said }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve))
}

/** Processes whose command line or open work names the folder of this test, by what /proc says; none elsewhere. */
function leftRunning(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
        return environment.includes(`TMPDIR=${folder}`)
          ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')]
          : []
      } catch {
        return []
      }
    })
}

async function nothingLeft(): Promise<void> {
  await eventually(() => leftRunning().length === 0, 10_000, 'no process of the demo is left')
}

const demo = suite('manyhands demo')

demo('a liar is outvoted, the result is the known one, and nothing is left', async () => {
  const { child, said } = start('--liar', '--json')
  assert.is(await exitOf(child), 0, said.stderr + said.stdout)
  const { result, correct, proved, liar, disagreeing } = JSON.parse(said.stdout) as {
    result: string
    correct: boolean
    proved: number
    disagreeing: number
    liar: { computed: number; accepted: number; disagreed: number }
  }
  assert.equal([result, correct, proved], ['50847534', true, 100])
  assert.is(liar.accepted, 0)
  assert.ok(disagreeing >= liar.disagreed)
  assert.equal(readdirSync(folder), [])
  await nothingLeft()
})

demo('Ctrl-C stops everything', async () => {
  const { child, said } = start()
  await eventually(() => said.stderr.includes('volunteers run'), 30_000, 'the demo runs')
  assert.ok(process.platform !== 'linux' || leftRunning().length >= 8)
  child.kill('SIGINT')
  assert.is(await exitOf(child), 130, said.stderr)
  assert.equal(readdirSync(folder), [])
  await nothingLeft()
})

demo('its processes end even when it is killed', async () => {
  const { child, said } = start()
  await eventually(() => said.stderr.includes('volunteers run'), 30_000, 'the demo runs')
  child.kill('SIGKILL')
  await exitOf(child)
  await nothingLeft()
})

demo.after(() => rmSync(folder, { recursive: true, force: true }))
demo.run()
