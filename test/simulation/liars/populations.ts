import type { Outcome } from '../../../proto/model.js'

/**
 * What a dishonest worker does with the units it is granted. `lone`: a wrong answer that nobody else gives. `ring`: the
 * wrong answer that all of the ring give. `failures`: says that units fail, each in one of the ways there are. `silent`:
 * takes units and never answers, but stays connected.
 */
export type Conduct = 'lone' | 'ring' | 'failures' | 'silent'

/** How liars that report failures say that units ended, in turn by unit. */
export const REPORTED_FAILURES: readonly Outcome[] = ['exit', 'trap', 'fuel', 'memory', 'output', 'wall', 'host']

/** What a run of a population may show at most. */
export interface Bars {
  /** Units with a wrong answer accepted, as a share of all. */
  readonly wrong: number
  /** Time until 99 % of the units are settled, against all units once on the honest workers only. */
  readonly time: number
}

/** Dishonest workers beside the honest ones. */
export interface Population {
  /** As in `--scenario liars-NAME`. */
  readonly name: string
  /** For people, in a table. */
  readonly title: string
  readonly conduct: Conduct
  /** Dishonest keys. */
  readonly keys: number
  /** Machines that run with each of these keys. */
  readonly placesPerKey: number
  /** Time in which they answer, ms; undefined: as long as honest work takes. */
  readonly answerMs: number | undefined
  readonly bars: Bars
}

/** Honest workers in every run. */
export const HONEST_WORKERS = 20
/** Rings of at least 10 and of 20 % of all keys. */
const TENTH = 3
const FIFTH = 5
const TIME_BAR = 2.1
const ALONE = { placesPerKey: 1, answerMs: undefined }

/** Every population that is measured. */
export const populations: readonly Population[] = [
  { name: 'none', title: 'no liars', conduct: 'lone', keys: 0, ...ALONE, bars: { wrong: 0, time: TIME_BAR } },
  { name: 'lone', title: 'one lone liar', conduct: 'lone', keys: 1, ...ALONE, bars: { wrong: 0, time: TIME_BAR } },
  { name: 'ring-10', title: 'ring, 10 %', conduct: 'ring', keys: TENTH, ...ALONE, bars: { wrong: 0.002, time: TIME_BAR } },
  { name: 'ring-20', title: 'ring, 20 %', conduct: 'ring', keys: FIFTH, ...ALONE, bars: { wrong: 0.006, time: TIME_BAR } },
  {
    name: 'fast-10',
    title: 'ring, 10 %, in 5 ms',
    conduct: 'ring',
    keys: TENTH,
    placesPerKey: 1,
    answerMs: 5,
    bars: { wrong: 0.003, time: TIME_BAR },
  },
  {
    name: 'fast-20',
    title: 'ring, 20 %, in 5 ms',
    conduct: 'ring',
    keys: FIFTH,
    placesPerKey: 1,
    answerMs: 5,
    bars: { wrong: 0.06, time: TIME_BAR },
  },
  {
    name: 'failures',
    title: 'a liar that reports failures',
    conduct: 'failures',
    keys: 1,
    ...ALONE,
    bars: { wrong: 0, time: TIME_BAR },
  },
  { name: 'hoarder', title: 'a silent hoarder', conduct: 'silent', keys: 1, ...ALONE, bars: { wrong: 0, time: TIME_BAR } },
  {
    name: 'two-places',
    title: 'a lying key in two places',
    conduct: 'ring',
    keys: 1,
    placesPerKey: 2,
    answerMs: undefined,
    bars: { wrong: 0, time: TIME_BAR },
  },
]
