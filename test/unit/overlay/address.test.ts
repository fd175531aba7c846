import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DEFAULT_PORT,
  formatAddress,
  hostGroup,
  isLoopback,
  parseAddress,
  plainHost,
  resolveAddresses,
} from '../../../overlay/address.js'
import { GridError } from '../../../runtime/errors.js'
import { rejects } from '../../support/rejects.js'

const test = suite('parseAddress')
const ID = 'a'.repeat(40)

test('reads host, port and id', () => {
  assert.equal(parseAddress('boot.example.org'), {
    address: `boot.example.org:${DEFAULT_PORT}`,
    host: 'boot.example.org',
    port: DEFAULT_PORT,
    nodeId: undefined,
  })
  assert.is(parseAddress('10.0.0.1:80').address, '10.0.0.1:80')
  assert.is(parseAddress(' Example.ORG:1 ').address, 'example.org:1')
  assert.is(parseAddress(`host:1#${ID.toUpperCase()}`).nodeId, ID)
  assert.is(parseAddress(`host#${ID}`).port, DEFAULT_PORT)
})

test('reads IPv6 hosts in brackets', () => {
  assert.equal(parseAddress('[::1]:80'), { address: '[::1]:80', host: '::1', port: 80, nodeId: undefined })
  assert.is(parseAddress('[2001:db8::1]').address, `[2001:db8::1]:${DEFAULT_PORT}`)
})

test('refuses everything else as invalid, with the forms that work', () => {
  const bad = [
    '',
    ':80',
    'host:',
    'host:port',
    'host:65536',
    'host:-1',
    'host:0',
    'host:1:2',
    '::1',
    '[::1',
    '[::1]80',
    '[host]:80',
    '[]:80',
    'a b',
    'a/b',
    'unix:/tmp/x',
    'http://host:80',
    '1.2.3',
    '1.2.3.256',
    '999',
    '-a.b',
    'a..b',
    'x'.repeat(64),
    `${'x.'.repeat(130)}x`,
    'host#',
    'host#abc',
    `host#${ID}#${ID}`,
    'host\u0000',
    'hôst',
  ]
  for (const text of bad) {
    assert.throws(
      () => parseAddress(text),
      (error: unknown) => error instanceof GridError && error.code === 'invalid' && /host:port/.test(error.hint ?? ''),
      text,
    )
  }
})

test('port 0 is for listening alone', () => {
  assert.is(parseAddress('127.0.0.1:0', { zeroPort: true }).port, 0)
})

test('whatever it accepts, it writes in a form that it accepts again', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65535 }), (name, port) => {
      const once = parseAddress(formatAddress(name, port))
      assert.equal(parseAddress(once.address), once)
    }),
  )
})

test('any text gives an address or a GridError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'ab.:[]#019-') })), (text) => {
      try {
        parseAddress(text)
      } catch (error) {
        assert.ok(error instanceof GridError)
      }
    }),
  )
})

test.run()

const hosts = suite('hosts')

hosts('IPv4 in IPv6 counts as IPv4', () => {
  assert.is(plainHost('::ffff:10.1.2.3'), '10.1.2.3')
  assert.is(plainHost('2001:db8::1'), '2001:db8::1')
  assert.is(hostGroup('::ffff:10.1.2.3'), '10.1.2.3')
})

hosts('IPv6 is counted by its /64, however it is written', () => {
  assert.is(hostGroup('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  assert.is(hostGroup('2001:0db8:1:2::9'), '2001:db8:1:2::/64')
  assert.is(hostGroup('2001:db8::9'), '2001:db8:0:0::/64')
  assert.is(hostGroup('::1'), '0:0:0:0::/64')
  assert.is(hostGroup('fe80::1%eth0'), 'fe80:0:0:0::/64')
  assert.is(hostGroup('2001:db8:1:2:3::'), '2001:db8:1:2::/64')
})

hosts('loopback is this machine and nothing else', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost'])
    assert.ok(isLoopback(host), host)
  for (const host of ['10.0.0.1', '128.0.0.1', '::2', '127.example.org', '']) assert.not(isLoopback(host), host)
})

hosts('a name gives all its addresses, an address itself', async () => {
  assert.equal(await resolveAddresses('127.0.0.1:5'), ['127.0.0.1:5'])
  const found = await resolveAddresses('localhost:5')
  assert.ok(found.length > 0 && found.every((address) => address === '127.0.0.1:5' || address === '[::1]:5'))
  await rejects(resolveAddresses('not an address'), 'invalid')
})

hosts.run()
