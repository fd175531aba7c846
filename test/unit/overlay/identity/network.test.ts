import { scryptSync } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createNetworkSecret, MAIN_ID_WORK_BITS, resolveNetwork } from '../../../../overlay/identity/network.js'
import { toHex } from '../../../../runtime/hex.js'
import { cpuMs } from '../../../support/cpu-time.js'

const test = suite('resolveNetwork')
const secret = createNetworkSecret()

test('the public network prices identities; private and other networks do not', () => {
  assert.is(resolveNetwork('main').idWorkBits, MAIN_ID_WORK_BITS)
  assert.is(resolveNetwork('main', secret).idWorkBits, 0)
  assert.is(resolveNetwork('test').idWorkBits, 0)
  assert.is(resolveNetwork('test').isPrivate, false)
  assert.is(resolveNetwork('test', secret).isPrivate, true)
})

test('the CA seed is scrypt of the secret, salted with the name', () => {
  const options = { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 }
  assert.is(toHex(resolveNetwork('main').caSeed), scryptSync('', 'manyhands|main', 32, options).toString('hex'))
  assert.is(toHex(resolveNetwork('test').caSeed), scryptSync('', 'manyhands|test', 32, options).toString('hex'))
  assert.is(
    toHex(resolveNetwork('lab', secret).caSeed),
    scryptSync(secret, 'manyhands|lab', 32, options).toString('hex'),
  )
})

test('name and secret both tell networks apart; space around a secret does not', () => {
  const seeds = new Set(
    [resolveNetwork('a'), resolveNetwork('b'), resolveNetwork('a', secret), resolveNetwork('b', secret)].map(
      (network) => toHex(network.caSeed),
    ),
  )
  assert.is(seeds.size, 4)
  assert.is(resolveNetwork('a', ` ${secret}\n`).caSeed, resolveNetwork('a', secret).caSeed)
})

test('the seed is computed once a process', () => {
  const first = resolveNetwork('once')
  const before = cpuMs()
  for (let i = 0; i < 100; i++) assert.is(resolveNetwork('once').caSeed, first.caSeed)
  assert.ok(cpuMs() - before < 1_000)
})

test('a short secret is refused with the command that makes one', () => {
  for (const bad of ['hunter2', 'a'.repeat(21), 'a'.repeat(300)]) {
    assert.throws(
      () => resolveNetwork('lab', bad),
      (error: { code?: string; hint?: string; message: string }) =>
        error.code === 'invalid' && /network new/.test(error.hint ?? '') && !error.message.includes(bad),
    )
  }
})

test('odd names are refused', () => {
  for (const bad of ['', 'Main', 'a|b', 'a b', '-a', 'x'.repeat(65), 'a\n']) {
    assert.throws(
      () => resolveNetwork(bad),
      (error: { code?: string }) => error.code === 'invalid',
    )
  }
})

test('generated secrets differ and hold at least 128 bits', () => {
  const made = new Set(Array.from({ length: 100 }, createNetworkSecret))
  assert.is(made.size, 100)
  for (const each of made) assert.match(each, /^[a-km-np-z2-9]{32}$/)
})

test.run()
