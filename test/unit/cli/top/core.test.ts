import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type TopEffect, UNITS_PAGE } from '../../../../cli/top/core/messages.js'
import { LOG_MAX } from '../../../../cli/top/core/top.js'
import { jobId, listed, look, machine, NOW, nodeId, status, TestTop, threeJobs, unit } from './fixtures.js'

const keys = suite('keys of the dashboard')

keys('numbers and tab go from page to page', () => {
  const top = threeJobs()
  assert.equal(top.press('3'), [{ type: 'showTab', tab: 'peers' }])
  assert.is(top.state.tab, 'peers')
  top.press('tab')
  assert.is(top.state.tab, 'me')
  top.press('backTab', 'backTab', 'backTab')
  assert.is(top.state.tab, 'jobs')
})

keys('enter shows the units of the selected job, and escape goes back', () => {
  const top = threeJobs()
  // Jobs under way come first.
  assert.equal(top.press('enter').slice(1), [
    { type: 'listUnits', query: { jobId: jobId('aa'), state: undefined, fromUnit: 0 } },
  ])
  top.press('escape', 'down', 'down', 'enter')
  assert.is(top.state.units?.jobId, jobId('cc'))
})

keys('cancel asks first, and does nothing unless told yes', () => {
  const top = threeJobs()
  assert.equal(top.press('c'), [])
  assert.match(top.screen, /cancel aa000000 sums\?/)
  assert.equal(top.press('n'), [])
  assert.not.match(top.screen, /cancel aa000000/)
  assert.equal(top.press('c', 'y'), [{ type: 'cancelJob', jobId: jobId('aa') }])
})

keys('what has ended is not cancelled, and without failed units nothing is retried', () => {
  const top = threeJobs()
  assert.equal(top.press('down', 'down', 'c', 'y'), [])
  assert.match(top.screen, /has ended already: finished/)
  assert.equal(top.press('r', 'y'), [])
  assert.match(top.screen, /nothing to retry/)
  assert.equal(top.press('home', 'r', 'y'), [{ type: 'retryJob', jobId: jobId('aa') }])
})

keys('a question takes the next key, whatever it is, and quitting still works', () => {
  const top = threeJobs()
  assert.equal(top.press('c', 'q'), [])
  assert.equal(top.press('q'), [{ type: 'quit' }])
  assert.equal(top.press('c', 'interrupt'), [{ type: 'interrupt' }])
})

keys('p pauses this machine, and lets a paused one go on', () => {
  const top = new TestTop()
  assert.equal(top.press('p'), [])
  assert.match(top.screen, /no worker runs on this machine/)
  top.handle({ type: 'processSeen', machine: machine() })
  assert.equal(top.press('p'), [{ type: 'pause' }])
  top.handle({ type: 'processSeen', machine: machine({ paused: true }) })
  assert.equal(top.press('p'), [{ type: 'resume' }])
})

keys('a search leaves out what does not hold it, as it is typed, and escape ends it', () => {
  const top = threeJobs()
  top.press('/', 'O', 'L')
  assert.match(top.screen, /cc000000/)
  assert.not.match(top.screen, /aa000000/)
  // Letters of commands are text while something is typed.
  top.press('q', 'backspace', 'enter')
  assert.match(top.screen, /only those with 'OL'/)
  assert.is(top.press('enter')[0]?.type, 'showTab')
  assert.is(top.state.units?.jobId, jobId('cc'))
  top.press('1', 'escape')
  assert.match(top.screen, /aa000000/)
})

keys('s sorts by the next column, S turns it round', () => {
  const top = threeJobs()
  const order = () => top.lines().flatMap((line) => /^.. ?(aa|bb|cc)0{6}/.exec(line)?.[1] ?? [])
  assert.equal(order(), ['aa', 'bb', 'cc'])
  top.press('s', 's')
  assert.match(top.screen, /DONE▼/)
  assert.equal(order(), ['cc', 'aa', 'bb'])
  top.press('S')
  assert.match(top.screen, /DONE▲/)
  assert.equal(order(), ['bb', 'aa', 'cc'])
})

keys('? explains all keys, and any key leaves', () => {
  const top = threeJobs()
  top.press('?')
  assert.match(top.screen, /turn the order round/)
  assert.equal(top.press('c'), [])
  assert.match(top.screen, /aa000000/)
})

keys.run()

const units = suite('units of the dashboard')

/** A dashboard on the units of the job `aa`; `effects` are those of the last key. */
function unitsOf(count: number, isLast = true) {
  const top = threeJobs()
  top.press('enter')
  const answer = (effects: readonly TopEffect[], first: number, last = isLast) => {
    const effect = effects.find(({ type }) => type === 'listUnits')
    assert.ok(effect?.type === 'listUnits', 'a page is asked for')
    const rows = Array.from({ length: count }, (_, i) => unit(first + i))
    top.handle({ type: 'unitsListed', query: effect.query, units: rows, isLast: last })
    return effect.query
  }
  const query = { jobId: jobId('aa'), state: undefined, fromUnit: 0 }
  top.handle({ type: 'unitsListed', query, units: Array.from({ length: count }, (_, i) => unit(i)), isLast })
  return { top, answer }
}

units('beyond the last unit of a page lies the next page, and before the first the one before', () => {
  const { top, answer } = unitsOf(UNITS_PAGE, false)
  assert.equal(top.press('end'), [])
  assert.is(answer(top.press('down'), UNITS_PAGE).fromUnit, UNITS_PAGE)
  assert.match(top.screen, new RegExp(`▸ +${UNITS_PAGE} `))
  assert.is(answer(top.press('up'), 0).fromUnit, 0)
  assert.match(top.screen, new RegExp(`▸ +${UNITS_PAGE - 1} `))
})

units('f goes through the states that have units', () => {
  const { top, answer } = unitsOf(5)
  const states = Array.from({ length: 4 }, () => answer(top.press('f'), 0).state)
  assert.equal(states, ['failed', 'open', 'settled', undefined])
})

units('a number that is searched for is gone to', () => {
  const { top, answer } = unitsOf(5)
  const effects = top.press('/', '7', '0', '0', 'enter')
  assert.is(answer(effects, 700).fromUnit, 700)
  assert.match(top.screen, /▸ +700 /)
})

units('they are listed again when the job has changed, once at a time', () => {
  const { top } = unitsOf(5)
  const changed = look({}, { settled: 491, failed: 10, answered: 512, leased: 4 })
  const same = top.handle({ type: 'jobLooked', jobId: jobId('bb'), look: look() })
  assert.equal(same, [])
  assert.is(top.handle({ type: 'jobLooked', jobId: jobId('aa'), look: changed })[0]?.type, 'listUnits')
  const more = look({}, { settled: 495, failed: 10, answered: 520, leased: 4 })
  assert.equal(top.handle({ type: 'jobLooked', jobId: jobId('aa'), look: more }), [])
})

units('an answer to what was asked before is dropped', () => {
  const { top } = unitsOf(5)
  top.press('f')
  const query = { jobId: jobId('aa'), state: undefined, fromUnit: 0 }
  top.handle({ type: 'unitsListed', query, units: [unit(99)], isLast: true })
  assert.not.match(top.screen, / 99 /)
})

units('an opened unit shows who agreed on it, why it failed and what it wrote', () => {
  const { top } = unitsOf(5)
  assert.equal(top.press('enter'), [{ type: 'openUnit', jobId: jobId('aa'), unit: 0 }])
  top.handle({
    type: 'unitOpened',
    jobId: jobId('aa'),
    unit: 0,
    detail: {
      answer: {
        state: 'failed',
        outcome: 'exit',
        exitCode: 3,
        digest: 'ab'.repeat(32),
        outputBytes: 40,
        fuel: 1_000n,
        donors: ['d1'.repeat(32), 'd2'.repeat(32)] as never,
        grantors: [nodeId(1)],
        reason: 'exit code 3 (--ok-exit 3 would accept it)',
        stderr: 'cannot open input\n\u001b[31mred\u001b[0m',
        stderrBytes: 30,
        stdout: '',
        stdoutBytes: 0,
      },
      note: '',
      history: [],
    },
  })
  assert.match(top.screen, /unit 0 +exit +exit code 3/)
  assert.match(top.screen, /d1d1d1d1d1d1 d2d2d2d2d2d2/)
  assert.match(top.screen, /cannot open input/)
  assert.not.match(top.screen, '\u001b')
  top.press('escape')
  assert.not.match(top.screen, /cannot open input/)
  assert.is(top.state.tab, 'units')
})

units.run()

const state = suite('state of the dashboard')

state('jobs that are listed again keep what is known of them, and others leave', () => {
  const top = threeJobs()
  top.handle({ type: 'jobsListed', jobs: [listed(jobId('dd')), listed(jobId('aa'))] })
  assert.equal(
    top.state.jobs.map((row) => [row.jobId.slice(0, 2), row.look !== undefined]),
    [
      ['dd', false],
      ['aa', true],
    ],
  )
})

state('trouble with a job is shown until it is seen again', () => {
  const top = threeJobs()
  top.handle({ type: 'jobTroubled', jobId: jobId('aa'), reason: 'its home went away' })
  assert.match(top.screen, /aa000000 +lost/)
  top.handle({ type: 'jobLooked', jobId: jobId('aa'), look: look() })
  assert.match(top.screen, /aa000000 +running/)
})

state('peers keep what they answered while they are seen, and are lost when they do not answer', () => {
  const top = new TestTop(200, 60)
  top.press('3')
  const peers = [1, 2].map((number) => ({ nodeId: nodeId(number), address: `10.0.0.${number}:1`, eligible: true }))
  top.handle({ type: 'peersSeen', peers })
  top.handle({ type: 'peerAnswered', nodeId: nodeId(1), status: status(), roundTripMs: 12 })
  top.handle({ type: 'peersSeen', peers })
  top.handle({ type: 'peerTroubled', nodeId: nodeId(2), reason: 'unreachable' })
  assert.match(top.screen, /00000001 +10\.0\.0\.1:1 +12ms +yes +2 +8 +1 +4 +1 MiB +60 +1h +0\.1\.0/)
  assert.match(top.screen, /00000002 +10\.0\.0\.2:1 +lost/)
  top.handle({ type: 'peersSeen', peers: [peers[1]!] })
  assert.match(top.screen, /1 peer /)
})

state('the log is bounded, and stays where somebody has scrolled to', () => {
  const top = new TestTop()
  top.press('5')
  const say = (number: number) =>
    top.handle({
      type: 'logged',
      entry: { atMs: NOW, level: 'info', scope: 'worker', message: `event ${number}`, fields: '{}' },
    })
  for (let i = 0; i < LOG_MAX + 50; i++) say(i)
  assert.is(top.state.log.length, LOG_MAX)
  assert.match(top.screen, new RegExp(`event ${LOG_MAX + 49}`))
  top.press('pageUp')
  const before = top.lines().slice(2, -2)
  say(9_999)
  assert.equal(top.lines().slice(2, -2), before)
  top.press('G')
  assert.match(top.screen, /event 9999/)
})

state('this machine says what each thread does, for whom, and why it holds back', () => {
  const top = new TestTop(120, 40)
  top.handle({ type: 'processSeen', machine: machine() })
  top.press('4')
  assert.match(top.screen, /17 agreed · 3 not settled yet · 20 computed/)
  assert.match(top.screen, /1 of 2 busy/)
  assert.match(top.screen, /0 +3s .* primes@1 unit 17 of sums for 0a0a0a0a/)
  assert.match(top.screen, /all units are granted \(1s ago\)/)
  assert.match(top.screen, /cpu-time +50% +file/)
  const restraint = { preference: 'on-battery', reason: 'on battery', untilMs: 0 }
  top.handle({ type: 'processSeen', machine: machine({ restraints: [restraint] }) })
  assert.match(top.screen, /held back/)
  assert.match(top.screen, /on battery +on-battery/)
  top.handle({ type: 'processSeen', machine: { ...machine(), worker: undefined, otherSelf: 'twin:4747' } })
  assert.match(top.screen, /key +another peer with the key of this one runs at twin:4747/)
  top.handle({ type: 'processGone', reason: 'nothing runs here' })
  assert.match(top.screen, /nothing runs here/)
})

state('the outcome of an action stands for a while', () => {
  const top = threeJobs()
  top.handle({ type: 'noticed', text: 'cancelled aa', tone: 'good' })
  assert.match(top.screen, /cancelled aa/)
  top.handle({ type: 'ticked', wallMs: NOW + 60_000 })
  assert.not.match(top.screen, /cancelled aa/)
})

state.run()
