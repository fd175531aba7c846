import { serialize } from 'node:v8'
import type { JobSpec } from '../../proto/model.js'
import { BatchSize } from './batch-size.js'
import type { OpenedJob, PlacedContent, QueuedUnit } from './messages.js'
import { moduleKey } from './modules.js'
import { readWhole } from './placed-content.js'
import { Queue } from './queue.js'
import type { ThreadBatch } from './unit-thread.js'

/** A job as the pool knows it. */
export interface PoolJob {
  readonly id: number
  readonly spec: JobSpec
  readonly opened: SharedArrayBuffer
  /** Shared inputs; undefined when a built-in task needs them and there is no memory. */
  readonly files: ThreadBatch['files'] | undefined
  /** Name of its module in {@link Modules}; undefined for a built-in task. */
  readonly moduleKey: string | undefined
  /** The module before admission. */
  readonly module: PlacedContent | undefined
  readonly queue: Queue<QueuedUnit>
  readonly size: BatchSize
}

/** A job with nothing to do yet; `content`: descriptor of the file with its inputs. `trouble` is told why these cannot be had. */
export function makePoolJob(
  { job: id, spec, inputs, module }: OpenedJob,
  content: number,
  trouble: (reason: string) => void,
): PoolJob {
  const bytes = serialize(spec)
  const opened = new SharedArrayBuffer(bytes.length)
  new Uint8Array(opened).set(bytes)
  const files = spec.task.type === 'module' ? inputs : loaded(inputs, content, trouble)
  return { id, spec, opened, files, moduleKey: moduleKey(spec), module, queue: new Queue(), size: new BatchSize() }
}

/** Inputs of a built-in task: it gets all of each, once for all threads. Undefined when there is no memory for that. */
function loaded(
  inputs: OpenedJob['inputs'],
  file: number,
  trouble: (reason: string) => void,
): ThreadBatch['files'] | undefined {
  try {
    return inputs.map(({ name, content }) => {
      const bytes = new Uint8Array(new SharedArrayBuffer(content.bytes))
      return { name, content, bytes: readWhole(file, content, bytes) }
    })
  } catch (error) {
    trouble(`inputs: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
