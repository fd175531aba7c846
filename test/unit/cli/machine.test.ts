import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { beyondMachine, machineShare } from '../../../cli/settings/machine.js'

const MIB = 2 ** 20
const GIB = 2 ** 30
const free = { cpus: undefined, memoryBytes: undefined }
const share = suite('machineShare')

share('without limits: all threads but one, 256 MiB a unit', () => {
  assert.equal(machineShare(undefined, 8, free), { threads: 7, memoryBytes: 256 * MIB, limited: false })
  assert.equal(machineShare('50%', 8, free), { threads: 4, memoryBytes: 256 * MIB, limited: false })
})

share("a container's processors are the processors there are", () => {
  assert.equal(machineShare(undefined, 64, { ...free, cpus: 4 }), { threads: 3, memoryBytes: 256 * MIB, limited: true })
  assert.is(machineShare('100%', 64, { ...free, cpus: 2.5 }).threads, 2)
  assert.is(machineShare(undefined, 64, { ...free, cpus: 0.5 }).threads, 1)
})

share('threads are as many as have room for a unit of the default limit', () => {
  const { threads, memoryBytes } = machineShare('100%', 64, { ...free, memoryBytes: 2 * GIB })
  assert.equal([threads, memoryBytes], [7, 256 * MIB])
  assert.is(machineShare('0', 64, { ...free, memoryBytes: GIB }).threads, 0)
})

share('where not one fits, or more threads were asked for, units get less', () => {
  assert.equal(machineShare(undefined, 8, { ...free, memoryBytes: 384 * MIB }), {
    threads: 1,
    memoryBytes: 128 * MIB,
    limited: true,
  })
  assert.is(machineShare('8', 8, { ...free, memoryBytes: GIB }).memoryBytes, 96 * MIB)
  assert.is(machineShare(undefined, 8, { ...free, memoryBytes: 100 * MIB }).memoryBytes, 16 * MIB)
})

share('more than the machine has is done, and said', () => {
  const has = { processors: 4, memoryBytes: 8 * GIB }
  assert.equal(beyondMachine({ threads: 4, memoryBytes: 8 * GIB }, has), [])
  assert.equal(beyondMachine({ threads: 99, memoryBytes: 1024 * GIB }, has), [
    '--cpus asks for 99 threads, this machine runs 4 at once: more of them compute nothing sooner',
    '--memory lets a unit have 1 TiB, this machine has 8 GiB: a unit that takes so much fails here',
  ])
})

share.run()
