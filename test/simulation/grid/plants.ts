import type { Coordinator, CoordinatorOptions } from '../../../coordinator/index.js'
import type { Verifier } from '../../../overlay/identity.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/messages.js'
import type { Disk } from '../../../runtime/disk.js'
import type { ProcessContext } from '../world/host.js'

/** A mistake put into every process of a grid on purpose, from outside, to show that the oracle finds it. */
export interface Plant {
  /** As given to `--planted`. */
  readonly name: string
  readonly disk?: (disk: Disk, context: ProcessContext) => Disk
  readonly options?: Partial<CoordinatorOptions>
  readonly verifier?: (verifier: Verifier) => Verifier
  readonly coordinator?: (coordinator: Coordinator) => void
  /** What each process of a worker makes of its streams: messages it believes to hear besides those that come. */
  readonly worker?: () => {
    says(message: WorkerMessage): void
    hears(message: OwnerMessage): readonly OwnerMessage[]
  }
}

/** No mistake. */
export const NO_PLANT: Plant = { name: 'none' }
