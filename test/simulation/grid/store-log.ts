import { deserialize } from 'node:v8'
import type { Write } from '../../../coordinator/store/store.js'
import { reportFactCodec } from '../../../proto/codec/facts.js'
import type { Digest, JobId } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { readRecords } from '../../../runtime/record-log.js'
import type { SimDisk } from '../world/disk.js'
import { STORE_FILE } from './processes.js'

/** What the store of an owner holds, read straight from its disk. */
export interface DiskFacts {
  /** Facts by shard, by id. */
  readonly facts: ReadonlyMap<string, ReadonlyMap<Digest, Uint8Array>>
  /** Ids of all reports. */
  readonly reports: ReadonlySet<Digest>
  /** Jobs whose home this is. */
  readonly homes: ReadonlySet<JobId>
  /** Shards that were kept, and deleted because other peers own them. */
  readonly dropped: ReadonlySet<string>
}

const reportIds = new WeakMap<Uint8Array, Digest>()
const parsed = new WeakMap<SimDisk, { readonly head: string; readonly facts: DiskFacts }>()

/** Reads the log as a process would after a crash at this moment: without what it has not handed to the system. */
export function readStore(disk: SimDisk): DiskFacts {
  const log = disk.contents(STORE_FILE) ?? new Uint8Array(0)
  const head = sha256(log)
  const known = parsed.get(disk)
  if (known?.head === head) return known.facts
  const facts = new Map<string, Map<Digest, Uint8Array>>()
  const reports = new Set<Digest>()
  const homes = new Set<JobId>()
  const dropped = new Set<string>()
  for (const payload of readRecords(log).payloads) {
    for (const write of deserialize(payload) as Write[]) {
      if (write.type === 'spec' && write.role === 'home') homes.add(write.jobId)
      if (write.type === 'dropRole' && write.role === 'home') homes.delete(write.jobId)
      if (write.type === 'shard' && !facts.has(shardName(write.jobId, write.shard)))
        facts.set(shardName(write.jobId, write.shard), new Map())
      if (write.type === 'shard') dropped.delete(shardName(write.jobId, write.shard))
      if (write.type === 'dropShard' && facts.delete(shardName(write.jobId, write.shard)))
        dropped.add(shardName(write.jobId, write.shard))
      if (write.type === 'dropFacts') {
        const shard = facts.get(shardName(write.jobId, write.shard))
        for (const factId of write.factIds) shard?.delete(factId)
      }
      if (write.type !== 'fact') continue
      // As the store does: a fact of a shard that it does not keep is left out.
      const shard = facts.get(shardName(write.jobId, write.shard))
      if (shard === undefined) continue
      shard.set(write.factId, write.fact)
      reports.add(reportIdOf(write.fact))
    }
  }
  const read = { facts, reports, homes, dropped }
  parsed.set(disk, { head, facts: read })
  return read
}

export function shardName(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}

function reportIdOf(fact: Uint8Array): Digest {
  let id = reportIds.get(fact)
  if (id === undefined) {
    id = sha256(reportFactCodec.decode(fact).report.bytes)
    reportIds.set(fact, id)
  }
  return id
}
