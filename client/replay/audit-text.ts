import type { AuditFindings } from './audit.js'

/** Share of wrong results above which a bound tells nobody anything. */
const VAGUE_BOUND = 0.2

/** What an audit has found, for people: what was checked, and what follows. */
export function describeAudit(findings: AuditFindings): string {
  const { sampled, disputed, tried, leaning, strangers, wrong, sampledWrong, undecided, left, errorBound, unreplayed } =
    findings
  const replayed = sampled + disputed + tried
  if (replayed === 0 && unreplayed === 0 && findings.settled > 0) return 'every settled unit was replayed before'
  const onStrangers =
    leaning === 0
      ? []
      : [
          `${leaning}${replayed > 0 ? ' more' : ''} ${leaning === 1 ? 'unit rests' : 'units rest'} on ${strangers === 1 ? 'an owner' : `${strangers} owners`} that cannot be found now, which may be peers that have left or made-up ones: verify with a larger --sample computes more of these units`,
        ]
  if (replayed === 0)
    return [
      left > 0 ? `no unit was replayed: there was no time for ${units(left)}` : 'no unit was replayed',
      ...onStrangers,
    ].join('; ')
  const drawn = [
    ...(sampled > 0 ? [`${units(sampled)} drawn at random`] : []),
    ...(tried > 0 ? [`${units(tried)} resting on owners that cannot be found now`] : []),
    ...(disputed > 0 ? [`${units(disputed)} that answers differed on`] : []),
  ].join(' and ')
  const outcome =
    wrong.length > 0
      ? `${wrong.length} had a FALSE result`
      : undecided === replayed
        ? 'none could be decided'
        : 'each as its result says'
  const rest = [
    ...(undecided > 0 && undecided < replayed ? [`${undecided} undecided`] : []),
    ...(left > 0 ? [`no time for ${left} more`] : []),
  ]
  const text = [`replayed here: ${drawn}; ${[outcome, ...rest].join(', ')}`]
  if (sampled > 0) {
    if (unreplayed === 0 && sampledWrong === 0) text.push('with that every settled unit was replayed')
    else if (errorBound > VAGUE_BOUND && sampledWrong === 0)
      text.push('too few to say how many of the others are wrong: verify with a larger --sample')
    else text.push(`at most ${percent(errorBound)} of the results drawn from were wrong, at 95 %`)
  }
  text.push(...onStrangers)
  return text.join('; ')
}

/** What follows for liars; empty when nothing does. */
export function describeConvictions({ convicted, dismissed }: Pick<AuditFindings, 'convicted' | 'dismissed'>): string {
  const parts = [
    ...(convicted > 0 ? [`${convicted} ${convicted === 1 ? 'key is' : 'keys are'} out for this job`] : []),
    ...(dismissed > 0 ? [`grants of ${dismissed} ${dismissed === 1 ? 'owner' : 'owners'} count no more`] : []),
  ]
  return parts.join('; ')
}

function units(count: number): string {
  return count === 1 ? '1 unit' : `${count} units`
}

function percent(share: number): string {
  const value = share * 100
  return `${value >= 10 ? Math.ceil(value) : Number(value.toPrecision(2))} %`
}
