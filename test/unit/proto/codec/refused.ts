import * as assert from 'uvu/assert'
import { type WireMessage, wireType } from '../../../../proto/load.js'
import { GridError } from '../../../../runtime/errors.js'
import type { Codec } from '../../../../runtime/transport.js'

/** Encodes a raw wire message of type `name`, decodes it with `codec` and expects `invalid` with a message like `pattern`. */
export function refused(name: string, codec: Codec<unknown>, wire: WireMessage, pattern: RegExp): void {
  refusedBytes(codec, wireType(name).encode(wire), pattern)
}

export function refusedBytes(codec: Codec<unknown>, bytes: Uint8Array, pattern: RegExp): void {
  try {
    codec.decode(bytes)
  } catch (error) {
    assert.ok(error instanceof GridError, String(error))
    assert.is(error.code, 'invalid')
    assert.match(error.message, pattern)
    return
  }
  assert.unreachable(`decoded what ${pattern} should refuse`)
}
