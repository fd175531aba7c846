import { blobOf } from '../../job/blob.js'
import type { JobSpec } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { engine } from '../../sandbox/engine.js'
import { admit, Refused } from '../../sandbox/index.js'
import type { PreparedModule } from './modules.js'

/**
 * Admits and compiles a module. Never throws. What is wrong with the module itself, by the rules of the profile or those
 * of WebAssembly, is `refused`: a pure function of its bytes and the job's memory limit, hence the same everywhere. Bytes
 * other than the spec names (a failing disk, a file taken away meanwhile) are this machine's fault.
 */
export function prepareModule(bytes: Uint8Array, { limits, task }: Pick<JobSpec, 'limits' | 'task'>): PreparedModule {
  try {
    if (task.type !== 'module' || blobOf(sha256, bytes).blob.digest !== task.module.digest)
      return { type: 'failed', reason: 'its bytes do not have the digest that the job names' }
    // The pass does not check types; an invalid module must not come out as a valid one.
    if (!engine.validate(bytes)) return { type: 'refused', reason: 'it is not valid WebAssembly' }
    const admitted = admit(bytes, { memoryBytes: limits.memoryBytes })
    return { type: 'ready', module: new engine.Module(admitted.bytes) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (error instanceof Refused) return { type: 'refused', reason }
    if (error instanceof Error && error.name === 'CompileError') return { type: 'refused', reason }
    return { type: 'failed', reason }
  }
}
