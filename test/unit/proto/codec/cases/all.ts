import { adminCases } from './admin.js'
import { blobsCases } from './blobs.js'
import type { CodecCase } from './case.js'
import { coordinatorCases } from './coordinator.js'
import { exchangeCases } from './exchange.js'
import { explainCases } from './explain.js'
import { factCases } from './facts.js'
import { homesCases } from './homes.js'
import { jobsCases } from './jobs.js'
import { resultsCases } from './results.js'
import { specCases } from './spec.js'

/** Every codec there is. */
export const allCases: readonly CodecCase[] = [
  ...adminCases,
  ...specCases,
  ...factCases,
  ...jobsCases,
  ...resultsCases,
  ...coordinatorCases,
  ...exchangeCases,
  ...homesCases,
  ...explainCases,
  ...blobsCases,
]
