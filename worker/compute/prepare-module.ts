import type { JobSpec } from '../../proto/model.js'
import { engine } from '../../sandbox/engine.js'
import { admit, Refused } from '../../sandbox/index.js'
import type { PreparedModule } from './modules.js'

/**
 * Admits and compiles a module. Never throws. What is wrong with the module itself, by the rules of the profile or those
 * of WebAssembly, is `refused`: a pure function of its bytes and the job's memory limit, hence the same everywhere.
 */
export function prepareModule(shared: Uint8Array, { limits }: Pick<JobSpec, 'limits'>): PreparedModule {
  try {
    // A copy that no other thread can change between the check and the use.
    const bytes = new Uint8Array(shared)
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
