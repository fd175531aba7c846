/** Every finding there is, in the order in which a person should look at them. Each is explained in `docs/explain.md`. */
export const FINDING_CODES = [
  'cancelled',
  'expired',
  'stopped',
  'owners-named',
  'not-joined',
  'clock-here',
  'clock-peer',
  'clocks-differ',
  'owner-gone',
  'home-gone',
  'quota',
  'peer-refuses',
  'owner-refuses',
  'owner-unreachable',
  'homes-fail',
  'few-homes',
  'no-owner',
  'no-worker',
  'paused',
  'restrained',
  'leaving',
  'memory',
  'version-old',
  'task-missing',
  'submitter-refused',
  'convicted',
  'other-job',
  'unnamed',
  'key-in-use',
  'quorum',
  'min-grantors',
  'owners-wait',
  'second-opinion',
  'disputed',
  'held',
  'instances-used-up',
  'resting',
  'output-missing',
  'host-failures',
  'window',
  'busy',
  'behind',
  'computing',
  'told-no-work',
  'no-work',
  'not-started',
  'units-failed',
  'unexplained',
] as const
/** One of {@link FINDING_CODES}. */
export type FindingCode = (typeof FINDING_CODES)[number]

/** One reason why a job, a unit or a worker is where it is. */
export interface Finding {
  readonly code: FindingCode
  /** Nothing moves before it is gone; else it slows things down, or is just so. */
  readonly blocks: boolean
  readonly sentence: string
  /** For how long, as far as anybody knows. Unit: ms. */
  readonly sinceMs: number | undefined
  /** Who says so: addresses of peers, or `this machine`. */
  readonly by: readonly string[]
  /** The value that decides it, and the one it is held against. */
  readonly value: string
  /** What to do about it: a command or a sentence; empty: nothing need be done. */
  readonly cure: string
}

/** `findings`, those that block first, each kind in its order. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const place = (finding: Finding) => FINDING_CODES.indexOf(finding.code) + (finding.blocks ? 0 : FINDING_CODES.length)
  return [...findings].sort((a, b) => place(a) - place(b))
}

/** How the job is named in commands, and the flags that a worker of this network needs. */
export interface CommandWords {
  readonly job: string
  /** Flags of `work` and `node`, with a leading space, or empty. */
  readonly flags: string
}
