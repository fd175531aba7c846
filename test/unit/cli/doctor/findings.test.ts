import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { judgeClock, plainClock } from '../../../../cli/doctor/clock-check.js'
import { judgeKey } from '../../../../cli/doctor/key-check.js'
import { KNOWN_UNITS } from '../../../../cli/doctor/known-digests.js'
import { judgeDisk } from '../../../../cli/doctor/machine-checks.js'
import { judgeReach } from '../../../../cli/doctor/network-checks.js'
import { digestOutput } from '../../../../job/facts/digest.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { taskRegistry } from '../../../../tasks/registry.js'

const MINUTE_MS = 60_000
const GIB = 2 ** 30
const findings = suite('findings of doctor')
const fine = { name: 'clock', health: 'ok', says: 'now' } as const

findings('a clock is judged by the median of five or more, never by fewer', () => {
  assert.is(judgeClock([], fine).health, 'ok')
  assert.is(judgeClock([9e9, 9e9, 9e9, 9e9], fine).health, 'ok')
  assert.match(judgeClock([9e9, 9e9, 9e9, 9e9], fine).says, '4 peers told the time, 5 are needed')
  const off = judgeClock([9e9, 9e9, 9e9, 9e9, 9e9], fine)
  assert.is(off.health, 'bad')
  assert.match(off.hint ?? '', /timedatectl/)
})

findings('a key in two places is bad for the process that is turned away, and to be known by the other', () => {
  const two = { sentence: 'the key runs at 10.0.0.7, too', by: [], agoMs: 0 }
  const here = judgeKey({ ...two, turnedAway: 'here' })
  assert.equal([here.health, here.says], ['bad', two.sentence])
  assert.match(here.hint ?? '', /give this one a key of its own: manyhands id new$/)
  assert.is(judgeKey({ ...two, turnedAway: 'there' }).health, 'warn')
})

findings('liars in the minority do not move the clock', () => {
  assert.equal(judgeClock([0, 10, -20, 9e9, 9e9], fine), {
    name: 'clock',
    health: 'ok',
    says: 'within 1 s of the median of 5 peers',
  })
  assert.is(judgeClock([0, 5, -5, 9e9, 9e9, 9e9], fine).health, 'ok')
})

findings('which way a clock is off is said, and how much matters', () => {
  const at = (ms: number) =>
    judgeClock(
      Array.from({ length: 7 }, () => ms),
      fine,
    )
  assert.is(at(10 * MINUTE_MS).health, 'bad')
  assert.match(at(10 * MINUTE_MS).says, /10m\S* behind the median of 7 peers/)
  assert.is(at(-10 * MINUTE_MS).health, 'bad')
  assert.match(at(-10 * MINUTE_MS).says, 'ahead of the median')
  assert.is(at(MINUTE_MS).health, 'warn')
  assert.is(at(20_000).health, 'ok')
})

findings('a clock before the program was built is wrong, whatever peers say', () => {
  const plain = plainClock(Date.UTC(2001, 0, 1))
  assert.is(plain.health, 'bad')
  assert.is(judgeClock([0, 0, 0, 0, 0], plain), plain)
  assert.is(plainClock(Date.UTC(2150, 0, 1)).health, 'bad')
  assert.is(plainClock(Date.now()).health, 'ok')
})

findings('a disk is fine, short, or full, and what to do is said', () => {
  assert.equal(
    [100 * GIB, GIB / 2, 1_000].map((free) => judgeDisk('/data', free).health),
    ['ok', 'warn', 'bad'],
  )
  assert.match(judgeDisk('/data', 1_000).hint ?? '', '--data DIR')
  assert.is(judgeDisk('/data', 100 * GIB).hint, undefined)
})

findings('a port is fine when a peer dials back, and worth a look when none can', () => {
  const seen = { where: '0.0.0.0:4747', address: '192.0.2.1:4747', asked: 3, answered: 3, reached: 0, reason: 'x' }
  assert.is(judgeReach({ ...seen, reached: 1 }).health, 'ok')
  const closed = judgeReach(seen)
  assert.is(closed.health, 'warn')
  assert.match(closed.hint ?? '', /open TCP port 4747 .*router/)
  assert.match(judgeReach({ ...seen, answered: 0 }).says, 'no peer could be asked')
  assert.match(judgeReach({ ...seen, asked: 0, answered: 0 }).says, 'nobody is there to dial back')
})

findings('known digests are those of the answers that mathematics gives, one of each built-in task', () => {
  const names = [...new Set(taskRegistry.list().map(({ name }) => name))].sort()
  assert.equal(KNOWN_UNITS.map(({ task }) => task).sort(), names)
  const digestOf = (text: string) =>
    digestOutput(sha256, {
      outcome: 'done',
      exitCode: 0,
      stdout: utf8(text),
      stderr: new Uint8Array(0),
      stderrLength: 0,
      files: [],
    })
  const known = (task: string) => KNOWN_UNITS.find((unit) => unit.task === task)?.digest
  // pi(10^12 + 10^6) - pi(10^12); the sixteenth Mersenne prime.
  assert.is(known('primes'), digestOf('36249\n'))
  assert.is(known('mersenne'), digestOf('2203 PRIME 0x0000000000000000\n'))
})

findings.run()
