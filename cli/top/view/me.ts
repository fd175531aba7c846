import { processKeyInTwoPlaces } from '../../../client/explain/explain.js'
import { formatBytes, formatDuration } from '../../../job/quantity.js'
import type { OwnerState, ProcessState, Restraint, ThreadState, WorkerState } from '../../../proto/admin-messages.js'
import { fitToWidth } from '../../terminal/text-width.js'
import { bodyLines } from '../core/layout.js'
import type { TopState } from '../core/state.js'
import { cutSpans, EMPTY, type Line, type Span, span } from './line.js'
import { bar } from './table.js'
import { clean, compact, many } from './words.js'

/** Columns of the bar that shows how much of its fuel a unit has used. */
const FUEL_COLUMNS = 10

/** The process of this machine: its threads, the owners it talks to, and why it holds back. */
export function meView(state: Readonly<TopState>): readonly Line[] {
  const { columns, rows, machine, processTrouble, meTop, wallMs } = state
  const body = bodyLines('me', rows, false)
  const all =
    machine === undefined
      ? [[], [span(clean(processTrouble) || 'asking the process of this machine ...', 'dim')]]
      : processLines(machine, wallMs, columns)
  const top = Math.min(meTop, Math.max(0, all.length - body))
  const lines: Line[] = all
    .slice(top, top + body)
    .map((spans) => ({ spans: cutSpans([span(' '), ...spans], columns), isSelected: false }))
  while (lines.length < body) lines.push(EMPTY)
  return lines
}

type Spans = readonly Span[]

function field(name: string, ...spans: Spans): Spans {
  return [span(name.padEnd(9), 'dim'), ...spans]
}

function processLines(machine: ProcessState, wallMs: number, columns: number): readonly Spans[] {
  const { worker } = machine
  const since = formatDuration(Math.max(0, wallMs - machine.startedMs))
  const place =
    machine.address === ''
      ? 'does not listen'
      : `${clean(machine.address)}, ${machine.eligible ? 'may own jobs' : 'not dialled back yet'}`
  const lines: Spans[] = [
    field('process', span(machine.nodeId.slice(0, 8), 'strong'), span(` · ${clean(machine.version)} · up ${since}`)),
    field('address', span(`${place} · ${many(machine.peers.length, 'peer')}`)),
  ]
  if (machine.address !== '')
    lines.push(field('keeps', span(`${many(machine.shards, 'shard')} · ${formatBytes(machine.storedBytes)}`)))
  lines.push(...keyLines(machine, wallMs))
  if (worker === undefined) return [...lines, [], [span('no worker here: manyhands work donates CPU', 'dim')]]
  return [...lines, ...workerLines(worker, wallMs, columns)]
}

function workerLines(worker: WorkerState, wallMs: number, columns: number): readonly Spans[] {
  const { threads, owners, restraints, preferences, agreed, disagreed, computed, unsettled, fuel } = worker
  const busy = threads.filter(({ unit }) => unit !== undefined).length
  const share = worker.cpuTimeShare < 1 ? ` at ${Math.round(worker.cpuTimeShare * 100)}% of the time` : ''
  const lines: Spans[] = [
    field(
      'gave',
      span(`${compact(agreed)} agreed`, agreed > 0 ? 'good' : 'plain'),
      span(` · ${compact(unsettled)} not settled yet · ${compact(computed)} computed`),
      span(disagreed > 0 ? ` · ${compact(disagreed)} disagreed` : '', 'bad'),
      span(` · ${compact(fuel)} steps`),
    ),
    field('threads', span(`${busy} of ${threads.length} busy`), span(` · ${worker.threadsAllowed} allowed${share}`)),
    field('state', ...stateSpans(worker, wallMs)),
    ...restraints
      .filter(({ preference }) => preference !== 'pause')
      .map((restraint) => restraintSpans(restraint, wallMs)),
    [],
    [span(fitToWidth('THREAD', 8), 'dim'), span('COMPUTES', 'dim')],
    ...threads.map((thread) => threadSpans(thread, wallMs, columns)),
  ]
  if (owners.length > 0) lines.push([], [span('OWNERS', 'dim')], ...owners.map((owner) => ownerSpans(owner, wallMs)))
  const set = preferences.filter(({ origin }) => origin !== 'default')
  if (set.length > 0) {
    lines.push([], [span('PREFERENCES', 'dim')])
    for (const { name, value, origin } of set)
      lines.push([span(fitToWidth(clean(name), 16)), span(clean(value)), span(`  ${clean(origin)}`, 'dim')])
  }
  return lines
}

/** One line, the most telling: paused, leaving, idle and why, or at work. */
function stateSpans({ paused, draining, restraints, idleReason, threads }: WorkerState, wallMs: number): Spans {
  if (draining) return [span('finishing what is in hand, then it ends', 'warn')]
  if (paused) {
    const restraint = restraints.find(({ preference }) => preference === 'pause')
    return [
      span(`paused${restraint === undefined ? '' : until(restraint, wallMs)}`, 'warn'),
      span('  p resumes', 'dim'),
    ]
  }
  if (restraints.length > 0) return [span('held back', 'warn')]
  if (threads.some(({ unit }) => unit !== undefined)) return [span('computing', 'good')]
  return [span('idle', 'warn'), span(idleReason === '' ? '' : `: ${clean(idleReason)}`)]
}

function keyLines(machine: ProcessState, wallMs: number): readonly Spans[] {
  const two = processKeyInTwoPlaces(machine, wallMs)
  return two === undefined ? [] : [field('key', span(clean(two.sentence), 'warn'))]
}

/** `, for 2h`, where a restraint ends by itself. */
function until({ untilMs }: Restraint, wallMs: number): string {
  return untilMs > wallMs ? `, for ${formatDuration(untilMs - wallMs)}` : ''
}

function restraintSpans(restraint: Restraint, wallMs: number): Spans {
  const { preference, reason } = restraint
  return field('', span(clean(reason), 'warn'), span(`  ${clean(preference)}${until(restraint, wallMs)}`, 'dim'))
}

function threadSpans({ thread, unit }: ThreadState, wallMs: number, columns: number): Spans {
  const number = span(fitToWidth(String(thread), 8))
  if (unit === undefined) return [number, span('waits', 'dim')]
  const limit = Number(unit.fuelMax)
  // Without a limit nobody knows how much is left.
  const hasMeter = columns >= 100 && limit > 0
  const meter = hasMeter ? [...bar(Number(unit.fuel) / limit, FUEL_COLUMNS, 'accent'), span(' ')] : []
  return [
    number,
    span(fitToWidth(formatDuration(Math.max(0, wallMs - unit.sinceMs)), 7)),
    ...meter,
    span(`${fitToWidth(compact(unit.fuel), 6, 'right')} steps  `, 'dim'),
    span(`${clean(unit.task, 40)} unit ${unit.unit}`),
    span(` of ${clean(unit.jobName, 60) || unit.jobId.slice(0, 8)}`),
    span(` for ${unit.submitter.slice(0, 8)}`, 'dim'),
  ]
}

function ownerSpans({ nodeId, address, connected, held, reason, reasonAtMs }: OwnerState, wallMs: number): Spans {
  const said = reason === '' ? '' : `${clean(reason)} (${formatDuration(Math.max(0, wallMs - reasonAtMs))} ago)`
  return [
    span(fitToWidth(nodeId.slice(0, 8), 10)),
    connected ? span('connected  ', 'good') : span('away       ', 'dim'),
    span(`${fitToWidth(compact(held), 4, 'right')} in hand  `),
    span(clean(address, 60), 'dim'),
    span(said === '' ? '' : `  ${said}`),
  ]
}
