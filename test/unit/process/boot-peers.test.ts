import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { addBootPeer, bootPeers, removeBootPeers } from '../../../process/boot-peers.js'
import { forgetPeers, knownSeeds } from '../../../process/join.js'
import { temporaryFolder } from '../cli/run.js'

const ID = 'ab'.repeat(20)
const folder = temporaryFolder()
const boot = suite('boot peers')
boot.after(() => folder.close())

boot('are kept by network, one an address, and clients join through them', async () => {
  const data = join(folder.path, 'one')
  assert.is(await knownSeeds(data, 'home', []), undefined)
  addBootPeer(data, 'home', 'Peer.Example.org')
  addBootPeer(data, 'home', `peer.example.org:4747#${ID}`)
  addBootPeer(data, 'home', '[2001:db8::1]:5000')
  assert.equal(bootPeers(data, 'home'), [`peer.example.org:4747#${ID}`, '[2001:db8::1]:5000'])
  assert.equal(bootPeers(data, 'other'), [])
  assert.equal(await knownSeeds(data, 'home', ['a:1']), ['a:1', `peer.example.org:4747#${ID}`, '[2001:db8::1]:5000'])
  assert.is(
    removeBootPeers(data, 'home', ({ nodeId }) => nodeId?.startsWith('abab') === true),
    1,
  )
  assert.equal(bootPeers(data, 'home'), ['[2001:db8::1]:5000'])
})

boot('at most 64, and what somebody wrote into the file is read with care', () => {
  const data = join(folder.path, 'two')
  for (let port = 1; port <= 64; port++) addBootPeer(data, 'home', `host:${port}`)
  assert.throws(() => addBootPeer(data, 'home', 'host:65'), /at most 64/)
  addBootPeer(data, 'home', `host:64#${ID}`)
  assert.is(bootPeers(data, 'home').length, 64)
  assert.throws(() => addBootPeer(data, 'home', 'no address!'), /address/)
  mkdirSync(join(data, 'client'), { recursive: true })
  for (const [text, expected] of [
    ['{', []],
    ['{"peers":7}', []],
    ['{"peers":["a:1",7,"b b","c:2"]}', ['a:1', 'c:2']],
  ] as const) {
    writeFileSync(join(data, 'client', 'boot-home.json'), text)
    assert.equal(bootPeers(data, 'home'), expected)
  }
})

boot('remembered peers are forgotten wherever they are remembered', async () => {
  const data = join(folder.path, 'three')
  const peers = [
    { nodeId: ID, address: 'a:1' },
    { nodeId: 'cd'.repeat(20), address: 'b:2' },
  ]
  for (const file of ['client/peers-home.json', 'state/peers.json']) {
    mkdirSync(join(data, file, '..'), { recursive: true })
    writeFileSync(join(data, file), JSON.stringify({ v: 1, peers }))
  }
  assert.is(await forgetPeers(data, 'home', ({ address }) => address === 'a:1'), 2)
  assert.is(await forgetPeers(data, 'home', ({ address }) => address === 'a:1'), 0)
  assert.equal(await knownSeeds(data, 'home', []), [`b:2#${'cd'.repeat(20)}`])
})

boot.run()
