import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Output } from '../../../cli/terminal/output.js'
import { startProgressBoard } from '../../../cli/terminal/progress.js'
import { systemClock } from '../../../runtime/clock.js'
import { TextSink } from './run.js'

function board(isTTY: boolean, quiet = false) {
  const stderr = new TextSink(isTTY)
  const output = new Output({
    stdout: new TextSink(),
    stderr,
    json: false,
    quiet,
    verbose: false,
    noColor: true,
  })
  return { stderr, board: startProgressBoard(output, systemClock, ['aaaa', 'bbbb']) }
}

const many = suite('startProgressBoard')

many('without a terminal each name has lines of its own', () => {
  const { stderr, board: shown } = board(false)
  shown.show('aaaa', { done: 1, total: 4, text: 'running' })
  shown.show('bbbb', { done: 2, total: 2, text: '' })
  shown.show('aaaa', { done: 4, total: 4, text: 'finished' })
  shown.stop()
  assert.is(stderr.text, 'aaaa  1/4  running\nbbbb  2/2\naaaa  4/4  finished\n')
})

many('--quiet shows nothing', () => {
  const { stderr, board: shown } = board(true, true)
  shown.show('aaaa', { done: 1, total: 4, text: '' })
  shown.stop()
  assert.is(stderr.text, '')
})

many.run()
