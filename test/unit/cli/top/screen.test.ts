import * as fc from 'fast-check'
import { render } from 'ink-testing-library'
import { createElement } from 'react'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { textWidth } from '../../../../cli/terminal/text-width.js'
import type { KeyPress } from '../../../../cli/top/core/messages.js'
import { FrameWriter } from '../../../../cli/top/frame-writer.js'
import { Screen } from '../../../../cli/top/screen.js'
import { frame } from '../../../../cli/top/view/frame.js'
import { jobId, listed, look, machine, NOW, nodeId, status, TestTop, threeJobs, unit } from './fixtures.js'

const SIZES = [
  [80, 24],
  [200, 60],
] as const

/** Names that would move the cursor, turn the line round, or fill a terminal. */
const HOSTILE = `\u001b[2J\u001b]0;owned\u0007\u202egnp.exe\u200b\u0301${'\u0300'.repeat(500)}漢字🎉\r\n${'x'.repeat(10_000_000)}`

/** A dashboard in which every text that comes from others is `text`. */
function saying(text: string, columns: number, rows: number): TestTop {
  const top = new TestTop(columns, rows)
  const id = jobId('aa')
  top.handle({ type: 'jobsListed', jobs: [{ ...listed(id, text), task: text }] })
  top.handle({ type: 'jobLooked', jobId: id, look: look({ name: text, task: text, waiting: text }, { failed: 1 }) })
  top.handle({ type: 'peersSeen', peers: [{ nodeId: nodeId(1), address: text, eligible: true }] })
  top.handle({
    type: 'peerAnswered',
    nodeId: nodeId(1),
    status: status({ version: text, address: text }),
    roundTripMs: 1,
  })
  const base = machine().worker!
  const running = { ...base.threads[0]!.unit!, jobName: text, task: text }
  top.handle({
    type: 'processSeen',
    machine: {
      ...machine({
        threads: [{ thread: 0, unit: running }],
        owners: [{ ...base.owners[0]!, address: text, reason: text }],
        restraints: [{ preference: text, reason: text, untilMs: 0 }],
        idleReason: text,
        preferences: [{ name: text, value: text, origin: text }],
      }),
      version: text,
    },
  })
  top.handle({ type: 'logged', entry: { atMs: NOW, level: text, scope: text, message: text, fields: text } })
  top.press('enter')
  const query = { jobId: id, state: undefined, fromUnit: 0 }
  top.handle({ type: 'unitsListed', query, units: [unit(0, 'failed', { waiting: text })], isLast: true })
  top.press('enter')
  top.handle({
    type: 'unitOpened',
    jobId: id,
    unit: 0,
    detail: {
      answer: {
        state: 'failed',
        outcome: 'exit',
        exitCode: 1,
        digest: 'ab'.repeat(32),
        outputBytes: 1,
        fuel: 1n,
        donors: [],
        grantors: [],
        reason: text,
        stderr: text,
        stderrBytes: 9,
        stdout: text,
        stdoutBytes: 9,
      },
      note: text,
      history: [text, text],
    },
  })
  return top
}

const screens = suite('screens of the dashboard')

screens('every page fits its terminal exactly, whatever others call things', () => {
  for (const [columns, rows] of [...SIZES, [40, 10], [41, 17], [132, 43]] as const) {
    const top = saying(HOSTILE, columns, rows)
    for (const tab of ['1', '2', '3', '4', '5']) {
      for (const keys of [[tab], ['?'], ['x', '/', 'a']]) {
        top.press(...keys)
        const lines = top.lines()
        assert.is(lines.length, rows - 1)
        for (const line of lines) {
          assert.ok(textWidth(line) <= columns, `${columns}x${rows} page ${tab}: ${textWidth(line)} columns: ${line}`)
          assert.not.match(line, /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]/u)
        }
      }
      top.press('escape')
    }
  }
})

screens('any text and any size leave the screen whole', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 100 }).map((codes) => String.fromCharCode(...codes)),
      fc.integer({ min: 1, max: 210 }),
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom('1', '2', '3', '4', '5'),
      (text, columns, rows, tab) => {
        const top = saying(text, columns, rows)
        top.press(tab)
        const lines = top.lines()
        assert.ok(lines.length <= Math.max(1, rows - 1))
        for (const line of lines) {
          assert.ok(textWidth(line) <= columns, line)
          assert.not.match(line, /[\p{Cc}\p{Cf}\p{Cs}]/u)
        }
      },
    ),
    { numRuns: 40 },
  )
})

screens('nobody is told that there are no jobs before it is known', () => {
  const top = new TestTop(80, 24)
  assert.match(top.screen, /looking for your jobs/)
  top.handle({ type: 'jobsListed', jobs: [] })
  assert.match(top.screen, /no jobs yet/)
})

screens('a resize keeps the selected row in sight', () => {
  const top = new TestTop(200, 60)
  const jobs = Array.from({ length: 100 }, (_, i) => listed(jobId(`a${String(i).padStart(3, '0')}`)))
  top.handle({ type: 'jobsListed', jobs })
  for (let i = 0; i < 70; i++) top.press('down')
  assert.match(top.screen, /▸ a070/)
  top.handle({ type: 'resized', columns: 80, rows: 24 })
  assert.match(top.screen, /▸ a070/)
})

screens('the components show the frame line by line at both sizes', () => {
  for (const [columns, rows] of SIZES) {
    const top = threeJobs(columns, rows)
    const lines = frame(top.state, { network: 'test', clock: () => '12:00:00' })
    const props = { lines, columns, isColoured: false, onKeys: () => {} }
    const shown = render(createElement(Screen, props))
    try {
      const text = (shown.lastFrame() ?? '').replaceAll(/\u001b\[[0-9;]*m/g, '')
      assert.equal(
        text.split('\n').map((line) => line.trimEnd()),
        top.lines().map((line) => line.trimEnd()),
      )
    } finally {
      shown.unmount()
    }
  }
})

screens('without colours nothing is coloured', () => {
  const { state } = threeJobs()
  const lines = frame(state, { network: 'test', clock: () => '12:00:00' })
  const shown = render(createElement(Screen, { lines, columns: 80, isColoured: false, onKeys: () => {} }))
  shown.unmount()
  assert.not.match(shown.lastFrame() ?? '', /\u001b\[[0-9;]*(?:3[0-7]|4[0-7]|9[0-7]|38|48)m/)
})

screens('keys come as what they mean', async () => {
  const pressed: KeyPress[] = []
  const onKeys = (keys: readonly KeyPress[]) => void pressed.push(...keys)
  const shown = render(createElement(Screen, { lines: [], columns: 80, isColoured: false, onKeys }))
  try {
    // Effects of components run after the first frame.
    await new Promise((resolve) => setImmediate(resolve))
    for (const bytes of ['q', '\u001b[A', '\u001b[6~', '\r', '\t', '\u001b[Z', '\u007f', '\u0003', 'ab'])
      shown.stdin.write(bytes)
    assert.equal(pressed, [
      { char: 'q' },
      'up',
      'pageDown',
      'enter',
      'tab',
      'backTab',
      'backspace',
      'interrupt',
      { char: 'a' },
      { char: 'b' },
    ])
  } finally {
    shown.unmount()
  }
})

screens.run()

const writing = suite('FrameWriter')

writing('each line goes to its row, and only if it differs', () => {
  const written: string[] = []
  const writer = new FrameWriter({ write: (text) => written.push(text), columns: 10, rows: 5 })
  writer.place([0, 1, 2])
  writer.write('one\ntwo\nthree')
  assert.match(written[0]!, /\u001b\[1;1Hone.*\u001b\[2;1Htwo.*\u001b\[3;1Hthree/)
  writer.place([1, 2])
  writer.write('TWO\nthree')
  assert.is(written.length, 2)
  assert.match(written[1]!, '\u001b[2;1HTWO')
  assert.not.match(written[1]!, 'three')
  writer.write('TWO\nthree')
  assert.is(written.length, 2)
})

writing('after a resize all is written anew, and nothing below the last row', () => {
  const written: string[] = []
  const writer = new FrameWriter({ write: (text) => written.push(text), columns: 10, rows: 2 })
  writer.place([0, 1, 2])
  writer.write('a\nb\nc')
  assert.not.match(written[0]!, 'c')
  writer.forget()
  writer.place([0, 1])
  writer.write('a\nb')
  assert.match(written.at(-1)!, /1;1Ha.*2;1Hb/)
})

writing.run()
