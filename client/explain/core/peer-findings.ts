import type { CommandWords, Finding } from './findings.js'
import { type JobSight, nameOf, names, owners, troublesOf } from './job-sight.js'
import { counted } from './unit-findings.js'

/** What is wrong with the peers that keep the job: gone, refusing, or too few. */
export function peerFindings(sight: JobSight, { flags }: CommandWords): Finding[] {
  const findings: Finding[] = []
  const answered = new Set(sight.answers.map(({ nodeId }) => nodeId))
  const owning = owners(sight)
  const told = new Set<string>()
  for (const trouble of troublesOf(sight)) {
    const name = nameOf(trouble)
    const base = { sinceMs: trouble.sinceMs, by: trouble.by }
    if (trouble.what === 'silent') {
      if (answered.has(trouble.nodeId)) continue
      told.add(trouble.nodeId)
      findings.push({
        ...base,
        code: 'owner-gone',
        blocks: owning.length === 0,
        sentence: `peer ${name}, which owned ${counted(trouble.shards, 'shard')} of the job, says nothing any more`,
        value: `${counted(owning.length, 'owner')} still there`,
        cure: 'start it again on its data directory; the other owners do its work meanwhile',
      })
    } else if (trouble.code === 'quota') {
      findings.push({
        ...base,
        code: 'quota',
        blocks: owning.length === 0,
        sentence: `peer ${name} does not take ${trouble.what === 'shard' ? 'shards of the job' : 'the job'}: ${trouble.reason}`,
        value: trouble.reason,
        cure: 'wait until earlier jobs expire or remove some: manyhands rm JOB; or whoever runs the peer raises the limit',
      })
    } else if (trouble.code === 'unreachable' || trouble.code === 'timeout' || trouble.code === 'closed') {
      if (answered.has(trouble.nodeId) || told.has(trouble.nodeId)) continue
      told.add(trouble.nodeId)
      findings.push({
        ...base,
        code: trouble.what === 'shard' ? 'owner-gone' : 'home-gone',
        blocks: false,
        sentence: `peer ${name} should keep the job and cannot be reached`,
        value: trouble.reason,
        cure: 'start it again on its data directory; other peers take its place meanwhile',
      })
    } else {
      findings.push({
        ...base,
        code: 'peer-refuses',
        blocks: owning.length === 0,
        sentence: `peer ${name} does not take ${trouble.what === 'shard' ? 'shards of the job' : 'the job'}: ${trouble.reason}`,
        value: trouble.code,
        cure:
          trouble.code === 'unsupported'
            ? 'whoever runs that peer updates it'
            : 'see what it says; other peers take its place',
      })
    }
  }
  for (const silence of sight.silences) {
    if (told.has(silence.nodeId) || silence.isThere) continue
    findings.push({
      code: 'owner-gone',
      blocks: sight.answers.length === 0,
      sentence: `peer ${nameOf(silence)}, which keeps part of the job, does not answer`,
      sinceMs: undefined,
      by: ['this machine'],
      value: silence.reason,
      cure: 'start it again on its data directory; other peers take its place within a minute',
    })
  }
  findings.push(...homesFail(sight))
  const { holders, wanted } = sight
  if (wanted > 0 && holders < wanted)
    findings.push({
      code: 'few-homes',
      blocks: false,
      sentence: `${counted(holders, 'peer')} of ${wanted} ${holders === 1 ? 'has' : 'have'} the job on disk: losing ${holders === 1 ? 'it' : 'them'} would lose the job`,
      sinceMs: undefined,
      by: names(sight.answers.filter(({ reply }) => reply.home !== undefined)),
      value: `${holders} of ${wanted}`,
      cure: `start another peer: manyhands node${flags}`,
    })
  if (owning.length === 0 && sight.answers.length > 0)
    findings.push({
      code: 'no-owner',
      blocks: true,
      sentence: 'no peer owns a shard of it yet',
      sinceMs: sight.ageMs,
      by: names(sight.answers),
      value: sight.waiting === '' ? 'its home has given none out' : sight.waiting,
      cure: `start a peer that may own: manyhands node${flags}`,
    })
  return findings
}

/** Homes that deny the job, or leave it to the guards of its region. */
function homesFail({ homes, answers, silences }: JobSight): Finding[] {
  const guards = answers.filter(({ reply }) => reply.home?.guarding !== undefined)
  const acting = guards.filter(({ reply }) => reply.home?.guarding === 'acting')
  const isHome = new Set(homes.map(({ nodeId }) => nodeId))
  const denying = silences.filter(({ nodeId, isThere }) => isThere && isHome.has(nodeId))
  if (guards.length === 0 || (acting.length === 0 && 2 * denying.length <= homes.length)) return []
  const said =
    denying.length === 0
      ? 'the peers nearest to the job leave it undone'
      : `${counted(denying.length, 'peer')} of the ${homes.length} nearest to the job ${denying.length === 1 ? 'says it does' : 'say they do'} not know it`
  const [keep, give] = guards.length === 1 ? ['keeps', 'gives'] : ['keep', 'give']
  const when = acting.length > 0 ? 'in their place' : 'a minute after these should have'
  return [
    {
      code: 'homes-fail',
      blocks: false,
      sentence: `${said}: ${counted(guards.length, 'peer')} of the region around it ${keep} it and ${give} it out ${when}`,
      sinceMs: undefined,
      by: names([...denying, ...guards]),
      value: `${denying.length} of ${homes.length} homes deny it, ${acting.length} of ${guards.length} guards act`,
      cure: '',
    },
  ]
}
