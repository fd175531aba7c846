import { textWidth } from '../../terminal/text-width.js'
import { COLUMNS_MIN, ROWS_MIN, screenLines } from '../core/layout.js'
import { TABS, type Tab } from '../core/messages.js'
import type { TopState } from '../core/state.js'
import { helpView } from './help.js'
import { jobsView } from './jobs.js'
import { between, cutSpans, EMPTY, type Line, line, rule, type Span, span, spansWidth } from './line.js'
import { logView } from './log.js'
import { meView } from './me.js'
import { peersView } from './peers.js'
import { unitsView } from './units.js'
import { clean, many, rate } from './words.js'

/** What the views need besides the state. */
interface FrameContext {
  readonly network: string
  /** Time of day of an instant, in the zone of this machine. */
  clock(wallMs: number): string
}

const TITLES: Readonly<Record<Tab, string>> = { jobs: 'Jobs', units: 'Units', peers: 'Peers', me: 'Me', log: 'Log' }

/** The whole screen: one line less than the terminal has rows, none wider than it. */
export function frame(state: Readonly<TopState>, context: FrameContext): readonly Line[] {
  const { columns, rows } = state
  const total = screenLines(rows)
  if (columns < COLUMNS_MIN || rows < ROWS_MIN) {
    return [line(cutSpans([span(`too small: ${COLUMNS_MIN}x${ROWS_MIN} at least`)], columns)[0] ?? span(''))]
  }
  const lines: Line[] = [headerLine(state, context), rule(columns)]
  const body = state.isHelpShown ? helpView(state) : bodyOf(state, context)
  const room = total - lines.length - FOOTER_LINES
  for (let i = 0; i < room; i++) lines.push(body[i] ?? EMPTY)
  lines.push(messageLine(state), keysLine(state))
  return lines
}

const FOOTER_LINES = 2

function bodyOf(state: Readonly<TopState>, context: FrameContext): readonly Line[] {
  switch (state.tab) {
    case 'jobs':
      return jobsView(state)
    case 'units':
      return unitsView(state)
    case 'peers':
      return peersView(state)
    case 'me':
      return meView(state)
    case 'log':
      return logView(state, (wallMs) => context.clock(wallMs))
  }
}

function headerLine(state: Readonly<TopState>, { network, clock }: FrameContext): Line {
  const tabs: Span[] = []
  for (const [i, tab] of TABS.entries()) {
    tabs.push(
      tab === state.tab ? span(` ${i + 1} ${TITLES[tab]} `, 'active') : span(` ${i + 1} ${TITLES[tab]} `, 'dim'),
    )
  }
  const running = state.jobs.filter(({ look }) => look !== undefined && look.end === undefined)
  const perSecond = running.reduce((sum, { look }) => sum + (look?.unitsPerSecond ?? 0), 0)
  const isPaused = state.machine?.worker?.paused === true
  const clockSpan = span(` ${clock(state.wallMs)} `, 'dim')
  // The pages stay whole; of the rest goes what does not fit, the first ones last.
  let room = state.columns - spansWidth(tabs) - spansWidth([clockSpan]) - 2
  const facts: Span[] = []
  for (const [text, tone] of [
    [isPaused ? 'paused' : '', 'warn'],
    [rate(perSecond), 'plain'],
    [state.peers.size > 0 ? many(state.peers.size, 'peer') : '', 'plain'],
    [clean(network, 30), 'plain'],
  ] as const) {
    if (text === '' || textWidth(text) + SEPARATOR.length > room) continue
    facts.push(span(facts.length > 0 ? SEPARATOR : '', 'dim'), span(text, tone))
    room -= textWidth(text) + SEPARATOR.length
  }
  return between(tabs, [...facts, clockSpan], state.columns)
}

const SEPARATOR = ' · '

/** What is asked, typed or told, most urgent first. */
function messageLine({ question, isSearching, lists, tab, notice, columns }: Readonly<TopState>): Line {
  const shown = (...spans: readonly Span[]): Line => ({ spans: cutSpans(spans, columns), isSelected: false })
  if (question !== undefined) return shown(span(` ${clean(question.text)}`, 'warn'), span('  y yes · any other key no'))
  const search = tab === 'jobs' || tab === 'units' || tab === 'peers' ? lists[tab].search : ''
  if (isSearching) return shown(span(' /', 'accent'), span(clean(search)), span('▏', 'accent'))
  if (notice !== undefined) return shown(span(` ${clean(notice.text)}`, notice.tone))
  if (search !== '') return shown(span(` only those with '${clean(search)}'`, 'accent'), span('  esc shows all', 'dim'))
  return EMPTY
}

/** The keys of each page, most used first: what does not fit is in the help. */
const KEYS: Readonly<Record<Tab, readonly (readonly [key: string, what: string])[]>> = {
  jobs: [
    ['enter', 'units'],
    ['/', 'search'],
    ['s', 'sort'],
    ['c', 'cancel'],
    ['r', 'retry'],
    ['p', 'pause me'],
  ],
  units: [
    ['enter', 'open'],
    ['f', 'state'],
    ['/', 'search'],
    ['s', 'sort'],
    ['c', 'cancel'],
    ['r', 'retry'],
  ],
  peers: [
    ['↑↓', 'choose'],
    ['/', 'search'],
    ['s', 'sort'],
    ['S', 'turn round'],
  ],
  me: [
    ['↑↓', 'scroll'],
    ['p', 'pause or resume'],
  ],
  log: [
    ['↑↓', 'scroll'],
    ['G', 'newest'],
  ],
}

function keysLine({ tab, columns }: Readonly<TopState>): Line {
  const own = KEYS[tab].flatMap(([key, what]) => [span(` ${key}`, 'accent'), span(` ${what} `, 'dim')])
  return between(
    own,
    [span('?', 'accent'), span(' help  ', 'dim'), span('q', 'accent'), span(' quit ', 'dim')],
    columns,
  )
}
