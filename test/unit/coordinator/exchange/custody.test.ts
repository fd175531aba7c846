import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Custody } from '../../../../coordinator/exchange/custody.js'
import type { Digest, NodeId, PublicKey } from '../../../../proto/model.js'

const node = (name: string) => name.padEnd(40, '0') as NodeId
const fact = (name: string) => name.padEnd(64, '0') as Digest
const SELF = node('a')
const [B, C] = [node('b'), node('c')]
const WORKER = 'ab'.repeat(32) as PublicKey
const OTHER = 'cd'.repeat(32) as PublicKey

const test = suite('Custody')

test('an answer whose fact is on one disk of two is not safe until another owner has it', () => {
  const custody = new Custody(SELF, false)
  assert.ok(custody.isSafe(WORKER, 1))
  custody.factThin(fact('1'), WORKER, [1, 2], [SELF])
  assert.not.ok(custody.isSafe(WORKER, 1))
  assert.ok(custody.isSafe(WORKER, 3), 'a unit of another report is')
  assert.ok(custody.isSafe(OTHER, 1), 'so is what another worker said')
  assert.equal(custody.factHeld(fact('1'), B, 2), [1, 2])
  assert.ok(custody.isSafe(WORKER, 1))
  assert.equal(custody.factHeld(fact('1'), C, 2), [], 'it is told once')
})

test('three holders take two others, and none of them counts twice', () => {
  const custody = new Custody(SELF, false)
  custody.factThin(fact('1'), WORKER, [1], [SELF])
  custody.factThin(fact('1'), WORKER, [1], [SELF, B])
  assert.equal(custody.factHeld(fact('1'), B, 3), [])
  assert.equal(custody.factHeld(fact('1'), C, 3), [1])
})

test('a sync passes on what was there when it began, and nothing that came since', () => {
  const custody = new Custody(SELF, false)
  custody.factThin(fact('1'), WORKER, [1], [SELF])
  const snapshot = custody.snapshot()
  custody.factThin(fact('2'), WORKER, [2], [SELF])
  assert.equal(custody.met(B, snapshot, 2), [1])
  assert.ok(custody.isSafe(WORKER, 1))
  assert.not.ok(custody.isSafe(WORKER, 2))
})

test('after a restart nothing is safe before enough owners have been met', () => {
  const custody = new Custody(SELF, true)
  assert.not.ok(custody.isSafe(WORKER, 1))
  assert.equal(custody.met(B, custody.snapshot(), 3), [])
  assert.is(custody.met(C, custody.snapshot(), 3), 'all')
  assert.ok(custody.isSafe(WORKER, 1))
})

test('bytes of an output count by themselves', () => {
  const custody = new Custody(SELF, false)
  custody.outputThin(7)
  assert.not.ok(custody.isSafe(WORKER, 7))
  assert.equal([...custody.thinOutputs], [7])
  assert.equal(custody.outputHeld(7, B, 2), [7])
  assert.ok(custody.isSafe(WORKER, 7))
  assert.equal(custody.outputHeld(8, B, 2), [])
})

test('where fewer owners are left, fewer disks are enough', () => {
  const custody = new Custody(SELF, true)
  custody.factThin(fact('1'), WORKER, [1], [SELF])
  custody.outputThin(2)
  assert.equal(custody.review(2), [])
  assert.is(custody.review(1), 'all')
  assert.ok(custody.isSafe(WORKER, 1))
  assert.ok(custody.isSafe(WORKER, 2))
})

test.run()
