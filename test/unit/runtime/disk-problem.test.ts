import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commitError } from '../../../coordinator/store/sqlite-file.js'
import { diskProblem } from '../../../runtime/disk-problem.js'

const test = suite('what a disk that refuses writes is told as')

test('a full disk, one that is read-only and one that fails are told apart', () => {
  assert.match(diskProblem('ENOSPC')!.text, /full/)
  assert.is(diskProblem('EDQUOT'), diskProblem('ENOSPC'))
  assert.match(diskProblem('EROFS')!.text, /read-only/)
  assert.match(diskProblem('EIO')!.text, /fails/)
  assert.is(diskProblem('ENOENT'), undefined)
  assert.is(diskProblem('constructor'), undefined)
})

test('a write that the store could not do is not said to be for want of space when nobody knows', () => {
  const failed = (code: string) => commitError(Object.assign(new Error('disk I/O error'), { code }))
  assert.is(failed('SQLITE_FULL').message, 'cannot write the job store: the disk is full')
  assert.is(failed('SQLITE_IOERR_WRITE').message, 'cannot write the job store: the disk is full, read-only or broken')
  assert.is(failed('EIO').message, 'cannot write the job store: the disk fails (EIO)')
  assert.match(failed('EROFS').hint ?? '', /start this node again/)
})

test.run()
