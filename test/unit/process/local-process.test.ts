import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { announceLocalProcess, findLocalProcess } from '../../../process/local-process.js'
import { temporaryFolder } from '../cli/run.js'

const folder = temporaryFolder()

const processes = suite('local process')

processes('commands find the process that runs on their data directory, in their network', () => {
  const path = join(folder.path, 'process')
  mkdirSync(path)
  assert.is(findLocalProcess(path, 'main'), undefined)
  const forget = announceLocalProcess(path, { pid: process.pid, network: 'main', address: 'h:1#ab', join: [] })
  assert.is(findLocalProcess(path, 'main')?.address, 'h:1#ab')
  assert.is(findLocalProcess(path, 'other'), undefined)
  forget()
  assert.is(findLocalProcess(path, 'main'), undefined)
})

processes('a process that is gone, or a file that is damaged, is none', () => {
  const path = join(folder.path, 'gone')
  mkdirSync(path)
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  announceLocalProcess(path, { pid, network: 'main', address: undefined, join: [] })
  assert.is(findLocalProcess(path, 'main'), undefined)
  const here = { v: 1, pid: process.pid, network: 'main', join: [] }
  const found = (text: string) => {
    writeFileSync(join(path, 'process.json'), text)
    return findLocalProcess(path, 'main')
  }
  assert.is(found(JSON.stringify(here))?.pid, process.pid)
  assert.is(found('{"v":1'), undefined)
  for (const wrong of [
    { v: 2 },
    { pid: '1' },
    { pid: 0 },
    { network: 1 },
    { join: 'h:1' },
    { join: [1] },
    { address: 7 },
  ])
    assert.is(found(JSON.stringify({ ...here, ...wrong })), undefined, JSON.stringify(wrong))
})

processes.after(() => folder.close())
processes.run()
