import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { HeldShard } from '../../../../coordinator/exchange/held-shard.js'
import type { PeerLink } from '../../../../coordinator/exchange/peer-link.js'
import { syncShards } from '../../../../coordinator/exchange/sync.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'

const test = suite('syncShards')

test('ends with nothing compared, and does not reject, when the ids of a shard cannot be read', async () => {
  const held = { custody: { snapshot: () => ({ facts: [], outputs: [] }) } } as unknown as HeldShard
  const link = { endpoint: { nodeId: 'a' } } as unknown as PeerLink
  const context = {
    logger: silentLogger,
    store: { factsById: async () => [], outputs: async () => new Map<number, Uint8Array>() },
    factsOf: async () => {
      throw new GridError('closed', 'the store is closed')
    },
    take: async () => 'kept' as const,
  }
  assert.equal(await syncShards(context, link, [held]), [])
})

test.run()
