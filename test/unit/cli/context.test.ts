import { spawnSync } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandAgain, firstPeerFlags, sameNetworkFlags, shellWord, workerFlags } from '../../../cli/context.js'
import { resolveSettings } from '../../../cli/settings/config.js'

const words = suite('shellWord')

words('a shell reads back exactly what is printed', () => {
  const hard = ["it's", '{start}', '$HOME', 'a b', '', '--x=y', 'host:1#ab', '#x', '`ls`', '"', 'a\\b', '~', '*']
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\n' ${hard.map(shellWord).join(' ')}`], { encoding: 'utf8' })
  assert.equal(stdout.split('\n').slice(0, -1), hard)
})

words('a command is repeated with more before its --', () => {
  assert.is(
    commandAgain({ typed: ['submit', 'x'], passed: ['{i}'] }, '--join HOST'),
    "manyhands submit x --join HOST -- '{i}'",
  )
})

words('a first peer is started on the network that was asked for, and joins nobody', () => {
  const { settings } = resolveSettings({
    flags: { data: '/tmp/d', network: 'home', join: 'far:1,near:2' },
    environment: {},
    platform: { system: 'linux', environment: {}, home: '/home/nobody' },
  })
  assert.is(firstPeerFlags({ settings }), ' --data /tmp/d --network home')
  assert.is(sameNetworkFlags({ settings }), ' --data /tmp/d --network home --join far:1,near:2')
  assert.is(workerFlags({ settings }), ' --network home --join far:1,near:2')
})

words.run()
