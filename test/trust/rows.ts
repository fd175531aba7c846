import type { Scene } from './scene.js'

/**
 * What our owners may show at most, means over all seeds. Absent: not bounded. The numbers are those of `docs/trust.md`,
 * where what each population is, and why no less is asked, is told.
 */
export interface Bounds {
  /** Units with a wrong answer accepted, as a share of all. */
  readonly wrong?: number
  readonly redundancy?: number
  readonly time?: number
  readonly captured?: number
  /** Honest keys. */
  readonly putOut?: number
  readonly idle?: number
}

/** One population of the table. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly scene: Scene
  readonly bounds: Bounds
}

const HONEST: Scene = { honestErrors: 0.001, liars: 0, conduct: 'ring' }
const FAST_MS = 5

const ring = (liars: number, more: Partial<Scene> = {}): Scene => ({ ...HONEST, liars, ...more })

/** Every population that is measured. */
export const rows: readonly Row[] = [
  {
    name: 'honest',
    title: 'honest, 0.1 % errors',
    scene: HONEST,
    bounds: { wrong: 1e-4, redundancy: 2.05, time: 2.1, idle: 0.04 },
  },
  {
    name: 'errors',
    title: 'honest, 1 % errors',
    scene: { ...HONEST, honestErrors: 0.01 },
    bounds: { wrong: 1e-4, redundancy: 2.1, putOut: 5 },
  },
  { name: 'away-ring-10', title: 'ring 10 %, submitter away', scene: ring(0.1), bounds: { wrong: 0.002, time: 2.1 } },
  { name: 'away-ring-20', title: 'ring 20 %, submitter away', scene: ring(0.2), bounds: { wrong: 0.006, time: 2.1 } },
  { name: 'away-ring-30', title: 'ring 30 %, submitter away', scene: ring(0.3), bounds: { wrong: 0.02, time: 2.1 } },
  { name: 'away-ring-40', title: 'ring 40 %, submitter away', scene: ring(0.4), bounds: {} },
  {
    name: 'away-fast-10',
    title: 'ring 10 % in 5 ms, submitter away',
    scene: ring(0.1, { answerMs: FAST_MS }),
    bounds: { wrong: 0.003, time: 2.1 },
  },
  {
    name: 'away-fast-20',
    title: 'ring 20 % in 5 ms, submitter away',
    scene: ring(0.2, { answerMs: FAST_MS }),
    bounds: { wrong: 0.06, time: 2.1 },
  },
  {
    name: 'away-careful-40',
    title: 'careful ring 40 %, submitter away',
    scene: ring(0.4, { conduct: 'careful' }),
    bounds: { wrong: 0.002, time: 2.1 },
  },
  {
    name: 'hoarders-20',
    title: 'hoarders 20 %',
    scene: ring(0.2, { conduct: 'hoarder' }),
    bounds: { wrong: 1e-4, time: 2.1 },
  },
  {
    name: 'hoarders-60',
    title: 'hoarders 60 %',
    scene: ring(0.6, { conduct: 'hoarder' }),
    bounds: { wrong: 1e-4, time: 2.1 },
  },
]
