import type { WorkerState } from '../../../proto/admin-messages.js'

/** A worker of two threads that has done nothing yet, as it tells its owner. */
export const idleWorker: WorkerState = {
  threads: [
    { thread: 0, unit: undefined },
    { thread: 1, unit: undefined },
  ],
  owners: [],
  restraints: [],
  threadsAllowed: 2,
  cpuTimeShare: 1,
  paused: false,
  draining: false,
  held: 0,
  unsettled: 0,
  computed: 0,
  agreed: 0,
  disagreed: 0,
  fuel: 0n,
  idleReason: '',
  preferences: [],
  sameKey: undefined,
}
