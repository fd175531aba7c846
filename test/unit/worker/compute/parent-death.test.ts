import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline, eventually } from '../../../support/deadline.js'

const parentFile = fileURLToPath(new URL('../../../support/compute-parent.js', import.meta.url))

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const test = suite('a worker that is killed')

for (const state of process.platform === 'win32' ? ['computing'] : ['computing', 'paused', 'running a module']) {
  test(`takes its compute process along while ${state}`, async () => {
    const parent = spawn(process.execPath, [parentFile, state], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(parent, 'exit')
    let pid = 0
    try {
      const [chunk] = (await deadline(once(parent.stdout!, 'data'), 20_000, 'the unit runs')) as [Buffer]
      pid = Number(chunk.toString().split('\n')[0])
      assert.ok(isAlive(pid))
      const folder = process.platform === 'linux' ? readlinkSync(`/proc/${pid}/cwd`) : undefined
      parent.kill('SIGKILL')
      await exited
      await eventually(() => !isAlive(pid), 10_000, 'the compute process ends')
      if (folder !== undefined) assert.not.ok(existsSync(folder), `${folder} is removed`)
    } finally {
      parent.kill('SIGKILL')
      if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL')
    }
  })
}

test.run()
