import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { methods } from '../../../../proto/methods.js'
import type { Host } from '../../../simulation/world/host.js'
import { Owners } from '../exchange/owners.js'

const ages = suite('the age of a job')

const AGE_MS = 10 * 60_000

async function ageAt(owners: Owners, host: Host): Promise<number> {
  const request = { jobId: owners.jobId, withShards: false }
  const { ageMs } = await owners.at(host, ({ transport, identity, address }) =>
    transport.call({ nodeId: identity.nodeId, address }, methods.show, request, { deadlineMs: 5_000 }),
  )
  return ageMs
}

ages('is counted from when a home took it, whatever the clock of its submitter says', async () => {
  const owners = new Owners(1)
  const [home] = owners.peers as [Host]
  await owners.start(home)
  await owners.pass(60_000)
  await owners.submit(home)
  assert.ok((await ageAt(owners, home)) < 5_000)
  owners.close()
})

ages('goes on after a restart of its home, and at a home that had it from another', async () => {
  const owners = new Owners(2)
  const [home, newcomer] = owners.peers as [Host, Host]
  await owners.start(home)
  await owners.submit(home)
  await owners.pass(AGE_MS)
  owners.kill(home)
  await owners.start(home)
  assert.ok((await ageAt(owners, home)) >= AGE_MS)
  await owners.start(newcomer)
  await owners.pass(60_000)
  assert.ok((await ageAt(owners, newcomer)) >= AGE_MS)
  owners.close()
})

ages.run()
