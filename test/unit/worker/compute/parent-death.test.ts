import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline, eventually } from '../../../support/deadline.js'

const parentFile = fileURLToPath(new URL('../../../support/compute/compute-parent.js', import.meta.url))

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const test = suite('a worker that is killed')

/** Starts a worker's computing side in `state`, kills it, and waits for its child. */
async function killedWhile(state: string): Promise<void> {
  const parent = spawn(process.execPath, [parentFile, state], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(parent, 'exit')
  let pid = 0
  try {
    const [chunk] = (await deadline(once(parent.stdout!, 'data'), 60_000, `the unit runs, ${state}`)) as [Buffer]
    pid = Number(chunk.toString().split('\n')[0])
    assert.ok(isAlive(pid))
    const folder = process.platform === 'linux' ? readlinkSync(`/proc/${pid}/cwd`) : undefined
    parent.kill('SIGKILL')
    await exited
    await eventually(() => !isAlive(pid), 60_000, `the compute process ends, ${state}`)
    if (folder !== undefined) assert.not.ok(existsSync(folder), `${folder} is removed`)
  } finally {
    parent.kill('SIGKILL')
    if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
}

test('takes its compute process along while computing, paused, or running a module', async () => {
  const states = process.platform === 'win32' ? ['computing'] : ['computing', 'paused', 'running a module']
  const ends = await Promise.allSettled(states.map(killedWhile))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
})

test.run()
