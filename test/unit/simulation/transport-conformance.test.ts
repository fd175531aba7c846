import { MeasuredTransport, type TransportMeter } from '../../../process/metrics/measured-transport.js'
import type { NodeId } from '../../../proto/model.js'
import type { Transport } from '../../../runtime/transport.js'
import { World } from '../../simulation/world/world.js'
import type { TransportPair } from '../../support/transport/pair.js'
import { transportConformance } from '../../support/transport/transport-conformance.js'

/** Virtual time within which everything the suite waits for has happened. Unit: ms. */
const PATIENCE_MS = 60_000

async function simulatedPair(setUp: (acceptor: Transport) => void): Promise<TransportPair> {
  const world = new World(1)
  // The suite makes handlers fail on purpose.
  world.network.onHandlerFault = () => {}
  const transports: Transport[] = []
  const dialling = world.addHost('dialler', { reachable: false })
  const accepting = world.addHost('acceptor')
  world.addHost('down')
  dialling.start(({ transport }) => void transports.unshift(transport))
  accepting.start(({ transport }) => {
    setUp(transport)
    transports.push(transport)
  })
  await world.run(() => transports.length === 2, PATIENCE_MS)
  const endpoint = { nodeId: accepting.caller.nodeId, address: accepting.address }
  return {
    dialler: transports[0]!,
    diallerId: dialling.caller.nodeId,
    acceptor: transports[1]!,
    endpoint,
    nowhere: { ...endpoint, address: 'down:4000' },
    impostor: { ...endpoint, nodeId: 'f'.repeat(40) as NodeId },
    wait: async (promise, what) => {
      let settled = false
      const settle = () => {
        settled = true
      }
      promise.then(settle, settle)
      await world
        .run(() => settled, PATIENCE_MS)
        .catch((error: Error) => {
          throw new Error(`${what}: ${error.message}`, { cause: error })
        })
      return promise
    },
    quiet: () => new Promise((resolve) => world.scheduler.at(world.nowMs + 10_000, '', resolve)),
    close: async () => world.close(),
  }
}

const deaf: TransportMeter = {
  unaryEnded: () => {},
  streamOpened: () => {},
  streamEnded: () => {},
  streamMessage: () => {},
  bytes: () => {},
}

/** The same with both ends measured, which must change nothing. */
async function measuredPair(setUp: (acceptor: Transport) => void): Promise<TransportPair> {
  const clock = { now: () => 0 }
  const pair = await simulatedPair((acceptor) => setUp(new MeasuredTransport(acceptor, deaf, clock)))
  return { ...pair, dialler: new MeasuredTransport(pair.dialler, deaf, clock) }
}

transportConformance('simulated transport', simulatedPair)
transportConformance('simulated transport, measured', measuredPair)
