import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DEFAULT_COORDINATOR_OPTIONS } from '../../../coordinator/options.js'
import { methods } from '../../../proto/methods.js'
import { toGridError } from '../../../runtime/errors.js'
import type { Host } from '../../simulation/world/host.js'
import { Owners } from './exchange/owners.js'

const limits = suite('submitting')
const { jobsPerAddressMinuteMax } = DEFAULT_COORDINATOR_OPTIONS

limits('from one address is bounded a minute, and leaves other addresses alone', async () => {
  const owners = new Owners(3)
  const [home, flooding, calm] = owners.peers as [Host, Host, Host]
  await owners.start(home, flooding, calm)
  const { address, caller } = home
  const garbage = { spec: { bytes: new Uint8Array(5), signature: new Uint8Array(64) } }
  const submit = (from: Host) =>
    owners.at(from, ({ transport }) =>
      transport
        .call({ nodeId: caller.nodeId, address }, methods.submit, garbage, { deadlineMs: 5_000 })
        .then(() => 'taken')
        .catch((error: unknown) => toGridError(error).code),
    )
  const answers = await owners.at(flooding, ({ transport }) =>
    Promise.all(
      Array.from({ length: jobsPerAddressMinuteMax + 5 }, () =>
        transport
          .call({ nodeId: caller.nodeId, address }, methods.submit, garbage, { deadlineMs: 20_000 })
          .catch((error: unknown) => toGridError(error).code),
      ),
    ),
  )
  assert.is(answers.filter((code) => code === 'quota').length, 5)
  assert.is(await submit(calm), 'invalid')
  await owners.pass(60_000)
  assert.is(await submit(flooding), 'invalid')
  owners.close()
})

limits.run()
