import type { Outcome } from '../../../proto/model.js'

/**
 * What a dishonest worker does with the units it is granted. `lone`: a wrong answer that nobody else gives. `ring`: the
 * wrong answer that all of the ring give. `failures`: says that units fail, each in one of the ways there are. `silent`:
 * takes units and never answers, but stays connected. `stalling`: a ring whose keys keep a unit until it counts as straggling
 * and answer at once when they are given the copy of a friend's unit.
 */
export type Conduct = 'lone' | 'ring' | 'failures' | 'silent' | 'stalling'

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
  /** Threads that each says it has. */
  readonly threads: number
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
const ALONE = { placesPerKey: 1, threads: 1, answerMs: undefined }

/** Every population that is measured. */
export const populations: readonly Population[] = [
  { name: 'none', title: 'no liars', conduct: 'lone', keys: 0, ...ALONE, bars: { wrong: 0, time: TIME_BAR } },
  { name: 'lone', title: 'one lone liar', conduct: 'lone', keys: 1, ...ALONE, bars: { wrong: 0, time: TIME_BAR } },
  {
    name: 'ring-10',
    title: 'ring, 10 %',
    conduct: 'ring',
    keys: TENTH,
    ...ALONE,
    bars: { wrong: 0.002, time: TIME_BAR },
  },
  {
    name: 'ring-20',
    title: 'ring, 20 %',
    conduct: 'ring',
    keys: FIFTH,
    ...ALONE,
    bars: { wrong: 0.006, time: TIME_BAR },
  },
  {
    name: 'fast-10',
    title: 'ring, 10 %, in 5 ms',
    conduct: 'ring',
    keys: TENTH,
    ...ALONE,
    answerMs: 5,
    bars: { wrong: 0.003, time: TIME_BAR },
  },
  {
    name: 'fast-20',
    title: 'ring, 20 %, in 5 ms',
    conduct: 'ring',
    keys: FIFTH,
    ...ALONE,
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
  {
    name: 'hoarder',
    title: 'a silent hoarder',
    conduct: 'silent',
    keys: 1,
    ...ALONE,
    bars: { wrong: 0, time: TIME_BAR },
  },
  {
    name: 'two-places',
    title: 'a lying key in two places',
    conduct: 'ring',
    keys: 1,
    ...ALONE,
    placesPerKey: 2,
    bars: { wrong: 0, time: TIME_BAR },
  },
  {
    name: 'threads-10',
    title: 'ring, 10 %, in 5 ms, 64 threads',
    conduct: 'ring',
    keys: TENTH,
    ...ALONE,
    threads: 64,
    answerMs: 5,
    bars: { wrong: 0.003, time: TIME_BAR },
  },
  {
    name: 'threads-lone',
    title: 'a lone liar, in 5 ms, 64 threads',
    conduct: 'lone',
    keys: 1,
    ...ALONE,
    threads: 64,
    answerMs: 5,
    bars: { wrong: 0, time: TIME_BAR },
  },
  {
    name: 'threads-hoarder',
    title: 'a silent hoarder, 64 threads',
    conduct: 'silent',
    keys: 1,
    ...ALONE,
    threads: 64,
    bars: { wrong: 0, time: TIME_BAR },
  },
  {
    name: 'stalling-20',
    title: 'ring, 20 %, that stalls',
    conduct: 'stalling',
    keys: FIFTH,
    ...ALONE,
    bars: { wrong: 0.006, time: TIME_BAR },
  },
]
