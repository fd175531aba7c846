import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Eligibility } from '../../../../../overlay/routing/core/eligibility.js'
import { Seeds } from '../../../../../overlay/routing/core/seeds.js'
import { hostOf, isPrivateHost, subnetOf } from '../../../../../overlay/routing/core/subnet.js'
import type { Random } from '../../../../../runtime/random.js'

const steady: Random = { next: () => 0.5, int: () => 0, bytes: (count) => new Uint8Array(count) }
const LIMITS = {
  retryMinMs: 250,
  retryMaxMs: 10_000,
  eagerRetryMaxMs: 1_000,
  eagerMs: 300_000,
  redialMs: 600_000,
  parallel: 2,
}
const begin = (lasting: string[], remembered: string[] = []) => {
  const of = (address: string) => ({ address })
  return new Seeds(lasting.map(of), remembered.map(of), LIMITS, steady, 0)
}

/** Lets every dial fail; gives when the dials were. */
function failingDials(seeds: Seeds, address: string, untilMs: number): number[] {
  const dials: number[] = []
  for (let now = 0; now <= untilMs; now = seeds.nextWakeup()!) {
    if (seeds.handle({ type: 'woken' }, now).length === 0) break
    dials.push(now)
    seeds.handle({ type: 'failed', address }, now)
  }
  return dials
}

const seeds = suite('Seeds')

seeds('are tried for ever with doubling pauses', () => {
  const dials = failingDials(begin(['example.org:1']), 'example.org:1', 60_000)
  assert.equal(dials.slice(0, 8), [0, 250, 750, 1_750, 3_750, 7_750, 15_750, 25_750])
})

seeds('at private addresses are tried every second at first', () => {
  const dials = failingDials(begin(['127.0.0.1:1']), '127.0.0.1:1', 10_000)
  assert.equal(dials.slice(0, 6), [0, 250, 750, 1_750, 2_750, 3_750])
})

seeds('that answered are dialled again after ten minutes; remembered ones are forgotten', () => {
  const state = begin(['a:1'], ['b:1', 'c:1'])
  assert.equal(
    state.handle({ type: 'woken' }, 0).map(({ seed }) => seed.address),
    ['a:1', 'b:1'],
    'two at a time',
  )
  assert.equal(state.handle({ type: 'reached', address: 'a:1' }, 10), [])
  assert.is(state.size, 2, 'c is forgotten, b still being dialled')
  state.handle({ type: 'failed', address: 'b:1' }, 20)
  assert.equal(
    state.handle({ type: 'woken' }, 599_000).map(({ seed }) => seed.address),
    ['b:1'],
  )
  assert.equal(
    state.handle({ type: 'woken' }, 600_010).map(({ seed }) => seed.address),
    ['a:1'],
  )
})

seeds('are all due again when nobody is left', () => {
  const state = begin(['a:1'])
  state.handle({ type: 'woken' }, 0)
  state.handle({ type: 'reached', address: 'a:1' }, 0)
  state.handle({ type: 'isolated' }, 1_000)
  assert.is(state.nextWakeup(), 1_250)
})

seeds.run()

const eligibility = suite('Eligibility')

eligibility('comes with a dial-back, or to whoever is alone, and goes after three failures', () => {
  const state = new Eligibility({ eligibleAgeMs: 0, eligibleAgePeers: 64 }, 0)
  assert.ok(state.eligible(0))
  state.contacts(1)
  assert.not(state.eligible(0))
  state.dialledBack(true)
  assert.ok(state.eligible(0))
  for (let i = 0; i < 3; i++) state.dialledBack(false)
  assert.not(state.eligible(0))
})

eligibility('waits on a large network, unless the peer founded it', () => {
  for (const founder of [false, true]) {
    const state = new Eligibility({ eligibleAgeMs: 1_000, eligibleAgePeers: 64 }, 0)
    if (founder) state.founded()
    state.contacts(64)
    state.dialledBack(true)
    assert.is(state.eligible(999), founder)
    assert.ok(state.eligible(1_000))
  }
})

eligibility.run()

const subnets = suite('subnetOf')

subnets('is the /24, the /48, or the name; private hosts have none', () => {
  const hosts = ['203.0.113.9', '::ffff:203.0.113.7', '2001:db8:1:2::5', '2001:db8::1', 'peer.example']
  assert.equal(hosts.map(subnetOf), ['203.0.113', '203.0.113', '2001:db8:1', '2001:db8:0', 'peer.example'])
  for (const host of [
    '127.0.0.1',
    '10.1.2.3',
    '192.168.0.1',
    '172.16.0.1',
    '169.254.1.1',
    '::1',
    'fe80::1',
    'fd00::1',
    'localhost',
  ]) {
    assert.ok(isPrivateHost(host), host)
    assert.is(subnetOf(host), undefined)
  }
  assert.not(isPrivateHost('172.32.0.1'))
  assert.equal(['[::1]:80', '1.2.3.4:80', 'name:80'].map(hostOf), ['::1', '1.2.3.4', 'name'])
})

subnets.run()
