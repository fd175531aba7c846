import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, i32, i64 } from '../../../cli/sandbox-check/assemble.js'
import { SANDBOX_CASES, type SandboxCase } from '../../../cli/sandbox-check/cases.js'
import { type CheckedCase, checkSandbox } from '../../../cli/sandbox-check/check.js'
import { systemClock } from '../../../runtime/clock.js'
import { silentLogger } from '../../../runtime/logger.js'
import { engine } from '../../../sandbox/index.js'
import { type ComputeProcess, startCompute } from '../../../worker/compute/supervise.js'
import { deadline } from '../../support/deadline.js'
import { run } from './run.js'

const assembler = suite('assemble')

assembler('every program of the check is valid WebAssembly', () => {
  for (const { name, module } of SANDBOX_CASES) assert.ok(engine.validate(module()), name)
})

assembler('numbers are signed LEB128', () => {
  assert.equal(i32(-1), [0x41, 0x7f])
  assert.equal(i32(64), [0x41, 0xc0, 0x00])
  assert.equal(i32(65_536), [0x41, 0x80, 0x80, 0x04])
  assert.equal(i64(-128n), [0x42, 0x80, 0x7f])
  assert.equal(i64(0xffff_ffff_ffff_ffffn), [0x42, 0x7f])
})

assembler.run()

const check = suite('checkSandbox')
let compute: ComputeProcess

check.before(() => {
  compute = startCompute({ threads: 1, lowPriority: false, clock: systemClock, logger: silentLogger })
})
check.after(() => compute.close())

async function checked(cases: readonly SandboxCase[]): Promise<CheckedCase[]> {
  const found: CheckedCase[] = []
  const checking = async () => {
    const signal = new AbortController().signal
    for await (const one of checkSandbox(cases, compute, systemClock, signal)) found.push(one)
  }
  await deadline(checking(), 60_000, 'the check')
  return found
}

check('every way out ends as it must, and honest programs give the known bytes', async () => {
  // What waits for the wall clock is tried by the command itself.
  const found = await checked(SANDBOX_CASES.filter(({ outcome }) => outcome !== 'wall'))
  assert.equal(
    found.filter(({ passed }) => !passed).map(({ name, says }) => `${name}: ${says}`),
    [],
  )
  assert.is(found.length, SANDBOX_CASES.length - 1)
})

check('a program that ends otherwise, prints other bytes or is admitted against the rules is BAD', async () => {
  const nothing = () => assemble({ imports: [], start: [] })
  const says = () => 'fine'
  const found = await checked([
    { name: 'no crash', module: nothing, outcome: 'trap', says },
    { name: 'no output', module: nothing, outcome: 'done', stdout: '00', says },
    { name: 'admitted', module: nothing, outcome: 'done', refused: /import/, says },
    { name: 'refused', module: () => Uint8Array.of(0), outcome: 'done', says },
    { name: 'fine', module: nothing, outcome: 'done', stdout: '', says },
  ])
  assert.equal(
    found.map(({ name, passed }) => [name, passed]),
    [
      ['no crash', false],
      ['no output', false],
      ['admitted', false],
      ['refused', false],
      ['fine', true],
    ],
  )
  assert.is(found[0]!.says, "ended in 'done', not in 'trap'")
  assert.is(found[2]!.says, 'admission took it')
})

check.run()

const command = suite('doctor --sandbox')

command('prints each case and what stands around the compute process', async () => {
  const { code, stdout } = await run(['doctor', '--sandbox', '--json'])
  assert.is(code, 0, stdout)
  const { cases, restrictions } = JSON.parse(stdout) as {
    cases: { name: string; passed: boolean }[]
    restrictions: { environment: string }
  }
  assert.is(cases.length, SANDBOX_CASES.length)
  assert.ok(cases.every(({ passed }) => passed))
  assert.is(restrictions.environment, 'empty')
})

command.run()
