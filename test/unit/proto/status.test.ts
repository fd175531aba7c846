import { Metadata, status } from '@grpc/grpc-js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODE_KEY, fromStatus, spokenCode, toStatus } from '../../../proto/status.js'
import { ERROR_CODES, GridError } from '../../../runtime/errors.js'

const test = suite('status')

test('every code comes back as itself', () => {
  for (const code of ERROR_CODES) {
    const back = fromStatus(toStatus(new GridError(code, 'why')))
    assert.is(back.code, code)
    assert.is(back.message, code === 'internal' ? 'internal error' : 'why')
  }
})

test('clients of other languages see the status they expect', () => {
  assert.is(toStatus(new GridError('quota', '')).code, status.RESOURCE_EXHAUSTED)
  assert.is(toStatus(new GridError('invalid', '')).code, status.INVALID_ARGUMENT)
  assert.is(toStatus(new GridError('unavailable', '')).code, status.UNAVAILABLE)
  assert.is(toStatus(new GridError('timeout', '')).code, status.DEADLINE_EXCEEDED)
})

test('of any other error nothing is told', () => {
  const sent = toStatus(new TypeError('cannot read /home/me/secret'))
  assert.is(sent.code, status.INTERNAL)
  assert.is(sent.details, 'internal error')
  assert.is(spokenCode(sent.metadata), 'internal')
})

test('a bare status is read by its number, and 13 like 14', () => {
  const bare = (code: status) => fromStatus({ code, details: 'x', metadata: new Metadata() }).code
  assert.is(bare(status.UNAVAILABLE), 'unreachable')
  assert.is(bare(status.INTERNAL), 'unreachable')
  assert.is(bare(status.DEADLINE_EXCEEDED), 'timeout')
  assert.is(bare(status.CANCELLED), 'closed')
  assert.is(bare(status.UNIMPLEMENTED), 'unsupported')
  assert.is(bare(status.UNKNOWN), 'internal')
  assert.is(bare(99 as status), 'internal')
})

test('an unknown code of a peer is not taken over', () => {
  for (const value of ['', 'nonsense', 'toString', '__proto__', 'constructor']) {
    const metadata = new Metadata()
    metadata.set(ERROR_CODE_KEY, value)
    assert.is(spokenCode(metadata), undefined)
    assert.is(fromStatus({ code: status.NOT_FOUND, details: '', metadata }).code, 'notFound')
  }
})

test.run()
