import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveOptions } from '../../../overlay/index.js'
import { OverlayRpc } from '../../../overlay/rpc.js'
import type { NodeId } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import { systemClock } from '../../../runtime/clock.js'
import type { Transport } from '../../../runtime/transport.js'

function contact(digit: string): Contact {
  const known: Partial<Contact> = { nodeId: digit.repeat(40) as NodeId, addresses: ['192.168.1.7:4747'] }
  return known as Contact
}

const self = contact('a')
const rpc = new OverlayRpc({
  transport: {} as Transport,
  clock: systemClock,
  options: resolveOptions('wan'),
  self: () => self,
  onAnswered: () => {},
  onMissed: () => {},
  onOther: () => {},
  problem: () => undefined,
})

test('on the public network a private address is where we are, and nowhere to dial', () => {
  assert.equal(rpc.endpoint(self), { nodeId: self.nodeId, address: '192.168.1.7:4747' })
  assert.throws(() => rpc.endpoint(contact('b')), /no address that may be dialled/)
})

test.run()
