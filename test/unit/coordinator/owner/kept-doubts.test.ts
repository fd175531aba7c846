import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../../simulation/world/host.js'
import { Owners } from '../exchange/owners.js'

const FORGED = [2, 3, 5]

const test = suite('KeptDoubts')

test('what an owner doubted on what it has on disk it doubts after a restart, and after another', async () => {
  const owners = new Owners(3)
  const [owner, ...others] = owners.peers as [Host, Host, Host]
  await owners.start(owner, ...others)
  await owners.activate(owner, ...others)
  await owners.pass(5_000)
  const stranger = owners.stranger('stranger')
  await owners.at(owner, async (_, coordinator) => {
    for (const unit of FORGED) {
      const outputs = [{ unit, bytes: owners.output(unit, 20).encoded }]
      assert.is(await coordinator.owner.takeFact(owners.fact(stranger, unit), outputs, 0, undefined), undefined)
    }
  })
  await owners.give(owner, 7)
  const seen = () => {
    const shard = owners.coordinator(owner).owner.core.shard(owners.jobId, 0)!
    return {
      doubted: [...shard.job.doubts.doubted].map(({ unit }) => unit).sort(),
      settled: [...shard.records()].filter(({ state }) => state === 'settled').map(({ unit }) => unit),
    }
  }
  await owners.pass(5_000)
  assert.equal(seen(), { doubted: FORGED, settled: [7] })
  for (let restarts = 0; restarts < 2; restarts++) {
    owners.kill(owner)
    await owners.start(owner)
    await owners.pass(5_000)
    assert.equal(seen(), { doubted: FORGED, settled: [7] })
  }
  owners.close()
})

test.run()
