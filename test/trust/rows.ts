import { AUDIT_SHARES, type AuditShares } from '../../job/audit/audit.js'
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

/** The submitter's machine computes disputed units again, up to 1 %, and half a percent at random. */
const THERE: Scene = { honestErrors: 0.001, liars: 0, conduct: 'ring', audit: AUDIT_SHARES }
/** Where an owner may lie, one percent at random. */
const MORE: AuditShares = { ...AUDIT_SHARES, sampled: 0.01 }
const FAST_MS = 5
const TIME = 2.1

const ring = (liars: number, more: Partial<Scene> = {}): Scene => ({ ...THERE, liars, ...more })
const away = (liars: number, more: Partial<Scene> = {}): Scene => {
  const { audit: _, ...scene } = ring(liars, more)
  return scene
}
const row = (name: string, title: string, scene: Scene, bounds: Bounds = {}): Row => ({ name, title, scene, bounds })

/** Every population that is measured. */
export const rows: readonly Row[] = [
  row('honest', 'honest, 0.1 % errors', THERE, { wrong: 1e-4, redundancy: 2.05, time: TIME, idle: 0.04 }),
  row('errors', 'honest, 1 % errors', ring(0, { honestErrors: 0.01 }), { wrong: 1e-4, redundancy: 2.1, putOut: 5 }),
  row('lone', 'lone liars 5 %', ring(0.05, { conduct: 'lone' }), { wrong: 1e-4, time: TIME }),
  row('ring-10', 'ring 10 %', ring(0.1), { wrong: 1e-4, captured: 0.03, time: TIME }),
  row('ring-20', 'ring 20 %', ring(0.2), { wrong: 1e-4, captured: 0.03, time: TIME }),
  row('ring-30', 'ring 30 %', ring(0.3), { wrong: 3e-4, captured: 0.03, time: TIME }),
  row('ring-40', 'ring 40 %', ring(0.4), { wrong: 5e-4, captured: 0.03, time: TIME }),
  row('fast-10', 'ring 10 % in 5 ms', ring(0.1, { answerMs: FAST_MS }), { wrong: 1e-4, captured: 0.05 }),
  row('fast-20', 'ring 20 % in 5 ms', ring(0.2, { answerMs: FAST_MS }), { wrong: 1e-4, captured: 0.05 }),
  row('fast-30', 'ring 30 % in 5 ms', ring(0.3, { answerMs: FAST_MS }), { wrong: 1e-4, captured: 0.05 }),
  row('careful-20', 'careful ring 20 %', ring(0.2, { conduct: 'careful' }), { wrong: 3e-4 }),
  row('careful-40', 'careful ring 40 %', ring(0.4, { conduct: 'careful' }), { wrong: 3e-4 }),
  row('mindful-40', 'careful ring 40 %, remembers', ring(0.4, { conduct: 'mindful' })),
  row('sleepers-20', 'sleepers 20 %', ring(0.2, { honestAnswers: 100 }), { wrong: 1e-4 }),
  row('rare-20', 'lie on 1 %, 20 %', ring(0.2, { lieShare: 0.01 }), { wrong: 5e-4 }),
  row('rare-40', 'lie on 1 %, 40 %', ring(0.4, { lieShare: 0.01 }), { wrong: 1e-3 }),
  row('fresh-1', 'as many fresh keys', ring(0, { flood: { at: 0.5, known: false } }), { wrong: 1e-4 }),
  row('fresh-100', 'as many fresh keys, in 5 ms', ring(0, { flood: { at: 0.5, known: false }, answerMs: FAST_MS }), {
    wrong: 1e-4,
  }),
  row('known-1', 'as many keys known before', ring(0, { flood: { at: 0.5, known: true } }), { wrong: 0.02 }),
  row('known-100', 'the same, in 5 ms', ring(0, { flood: { at: 0.5, known: true }, answerMs: FAST_MS }), {
    wrong: 0.02,
  }),
  row('returns-20', 'ring 20 %, returns when out', ring(0.2, { returns: true }), { wrong: 5e-4 }),
  row('owner-10', 'lying owner, ring 10 %', ring(0.1, { forgedVotes: 2, audit: MORE }), { wrong: 0.003, time: TIME }),
  row('owner-30', 'lying owner, ring 30 %', ring(0.3, { forgedVotes: 2, audit: MORE }), { wrong: 0.01, time: TIME }),
  row('owner-flood-10', 'lying owner, 9 votes, ring 10 %', ring(0.1, { forgedVotes: 9, audit: MORE }), {
    wrong: 0.003,
    time: TIME,
  }),
  row('hoarders-20', 'hoarders 20 %', ring(0.2, { conduct: 'hoarder' }), { wrong: 1e-4, time: TIME }),
  row('hoarders-60', 'hoarders 60 %', ring(0.6, { conduct: 'hoarder' }), { wrong: 1e-4, time: TIME }),
  row('away-ring-10', 'submitter away: ring 10 %', away(0.1), { wrong: 0.002, time: TIME }),
  row('away-ring-20', 'submitter away: ring 20 %', away(0.2), { wrong: 0.006, time: TIME }),
  row('away-ring-30', 'submitter away: ring 30 %', away(0.3), { wrong: 0.02, time: TIME }),
  row('away-fast-10', 'submitter away: 10 % in 5 ms', away(0.1, { answerMs: FAST_MS }), { wrong: 0.003, time: TIME }),
  row('away-fast-20', 'submitter away: 20 % in 5 ms', away(0.2, { answerMs: FAST_MS }), { wrong: 0.06, time: TIME }),
  row('away-careful-40', 'submitter away: careful 40 %', away(0.4, { conduct: 'careful' }), {
    wrong: 0.002,
    time: TIME,
  }),
  row('away-mindful-40', 'submitter away: careful 40 %, remembers', away(0.4, { conduct: 'mindful' })),
  row('away-fast-30', 'submitter away: 30 % in 5 ms', away(0.3, { answerMs: FAST_MS })),
  row('away-owner-10', 'submitter away: lying owner', away(0.1, { forgedVotes: 2 })),
]
