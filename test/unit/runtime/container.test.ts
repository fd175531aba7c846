import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { containerLimits } from '../../../runtime/container.js'

const GIB = 2 ** 30
const folders: string[] = []
const limits = suite('containerLimits')
limits.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A root with these files. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'manyhands-root-'))
  folders.push(root)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

limits('version 2: the tightest limit on the way up binds', () => {
  const root = rootWith({
    'proc/self/cgroup': '0::/system.slice/manyhands.service\n',
    'sys/fs/cgroup/cgroup.controllers': 'cpu memory\n',
    'sys/fs/cgroup/system.slice/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/system.slice/memory.max': `${2 * GIB}\n`,
    'sys/fs/cgroup/system.slice/manyhands.service/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/system.slice/manyhands.service/memory.max': 'max\n',
  })
  assert.equal(containerLimits(root), { cpus: 1.5, memoryBytes: 2 * GIB })
})

limits('version 2 inside a container: the own group is the top', () => {
  const root = rootWith({
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/cgroup.controllers': 'cpu memory\n',
    'sys/fs/cgroup/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/memory.max': `${GIB}\n`,
  })
  assert.equal(containerLimits(root), { cpus: undefined, memoryBytes: GIB })
})

limits('version 1: the path may be the host’s, and only the top is there', () => {
  const root = rootWith({
    'proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/ignored\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${3 * GIB}\n`,
  })
  assert.equal(containerLimits(root), { cpus: 2, memoryBytes: 3 * GIB })
})

limits('version 1 without limits: -1, and the largest number of pages', () => {
  const root = rootWith({
    'proc/self/cgroup': '5:memory:/\n4:cpu,cpuacct:/\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  })
  assert.equal(containerLimits(root), { cpus: undefined, memoryBytes: undefined })
})

limits('nonsense, files that are missing and paths that lead up give no limit', () => {
  assert.equal(containerLimits(rootWith({})), { cpus: undefined, memoryBytes: undefined })
  const root = rootWith({
    'proc/self/cgroup': '0::/../../etc\nnonsense\n',
    'sys/fs/cgroup/cgroup.controllers': '',
    'sys/fs/cgroup/cpu.max': '0 0\n',
    'sys/fs/cgroup/memory.max': 'much\n',
  })
  assert.equal(containerLimits(root), { cpus: undefined, memoryBytes: undefined })
})

limits.run()
