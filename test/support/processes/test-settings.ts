import type { ProcessSettings } from '../../../process/settings.js'
import { silentLogger } from '../../../runtime/logger.js'
import { testNetwork } from '../transport/grpc-nodes.js'

/** What a process of a test is: a leaf of the test network that computes nothing and says nothing, but for its `own` settings. */
export function testSettings(own: Partial<ProcessSettings> & Pick<ProcessSettings, 'dataFolder'>): ProcessSettings {
  return {
    network: testNetwork,
    join: [],
    listen: undefined,
    advertise: undefined,
    threads: 0,
    onlyJob: undefined,
    lowPriority: false,
    memoryBytes: 256 * 2 ** 20,
    taskModules: [],
    ephemeral: false,
    logger: silentLogger,
    ...own,
  }
}
