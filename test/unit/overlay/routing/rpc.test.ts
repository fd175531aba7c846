import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveOptions } from '../../../../overlay/index.js'
import type { ContactProblem } from '../../../../overlay/routing/core/contact.js'
import { OverlayRpc } from '../../../../overlay/routing/rpc.js'
import type { NodeId } from '../../../../proto/model.js'
import type { Contact } from '../../../../proto/overlay-messages.js'
import { systemClock } from '../../../../runtime/clock.js'
import type { Address, Transport } from '../../../../runtime/transport.js'
import { rejects } from '../../../support/rejects.js'

function contact(digit: string): Contact {
  const known: Partial<Contact> = { nodeId: digit.repeat(40) as NodeId, addresses: ['192.168.1.7:4747'] }
  return known as Contact
}

const self = contact('a')

function rpcOf(transport: Partial<Transport>, fault?: ContactProblem): OverlayRpc {
  return new OverlayRpc({
    transport: transport as Transport,
    clock: systemClock,
    options: resolveOptions('wan'),
    self: () => self,
    onAnswered: () => {},
    onMissed: () => {},
    onOther: () => {},
    problem: () => fault,
  })
}
const rpc = rpcOf({})

test('on the public network a private address is where we are, and nowhere to dial', () => {
  assert.equal(rpc.endpoint(self), { nodeId: self.nodeId, address: '192.168.1.7:4747' })
  assert.throws(() => rpc.endpoint(contact('b')), /no address that may be dialled/)
})

test('a seed whose record is out of date is told as what it is: a wrong clock, there or here', async () => {
  const nodeId = 'b'.repeat(40) as NodeId
  const transport = {
    probe: async () => ({ nodeId }),
    call: async () => ({ contact: contact('b') }),
  } as unknown as Partial<Transport>
  for (const [fault, says] of [
    ['expired', /clock of 192.168.1.7:4747 is far behind/],
    ['tooFarAhead', /clock of 192.168.1.7:4747 is far ahead of/],
    ['wrongSignature', /record of 192.168.1.7:4747 is refused: wrongSignature/],
  ] as const)
    await rejects(rpcOf(transport, fault).pingSeed('192.168.1.7:4747' as Address, undefined), says)
})

test.run()
