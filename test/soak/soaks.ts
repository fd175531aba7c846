import { abuse } from './abuse.js'
import { addresses } from './addresses.js'
import { cpuTime } from './cpu-time.js'
import { dashboard } from './dashboard.js'
import { everybodyKilled } from './everybody-killed.js'
import { explainSituations } from './explain.js'
import { fuzz } from './fuzz.js'
import { killOwners } from './kill-owners.js'
import { manyPeers } from './many-peers.js'
import { partition } from './partition.js'
import { preferences } from './preferences.js'
import type { Soak } from './soak.js'
import { strangers } from './strangers.js'

/** Every long run, by name. */
export const soaks: readonly Soak[] = [
  // One a line.
  abuse,
  addresses,
  explainSituations,
  dashboard,
  everybodyKilled,
  fuzz,
  killOwners,
  manyPeers,
  partition,
  cpuTime,
  preferences,
  strangers,
]
