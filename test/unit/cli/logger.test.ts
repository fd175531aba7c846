import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createLogger } from '../../../cli/terminal/logger.js'
import { TextSink } from './run.js'

const logger = suite('createLogger')

logger('a line for people has component, event and fields, and no control characters', () => {
  const stream = new TextSink()
  createLogger({ stream, level: 'info', json: false })
    .child('overlay')
    .warn('seed silent', { address: 'a\u001b[2J', n: 5n })
  assert.match(stream.text, /^\d\d:\d\d:\d\d warn overlay: seed silent address=a \[2J n=5\n$/)
})

logger('what is below the level is not written; JSON lines are JSON', () => {
  const stream = new TextSink()
  const log = createLogger({ stream, level: 'warn', json: true })
  log.info('quiet')
  log.error('loud', { error: new Error('x') })
  const { level, msg, error } = JSON.parse(stream.text) as Record<string, unknown>
  assert.equal([level, msg, error], ['error', 'loud', 'x'])
})

logger.run()
