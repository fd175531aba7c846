import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { machineShare } from '../../../cli/settings/machine.js'

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

share.run()
