import { spawnSync } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandAgain, shellWord } from '../../../cli/context.js'

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

words.run()
