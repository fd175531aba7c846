import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, i32, op } from '../../cli/sandbox-check/assemble.js'
import { eventually } from '../support/deadline.js'
import { clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'
import { hasTmux, TmuxScreen } from '../support/processes/tmux.js'

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const cluster = new GridCluster()
let screen: TmuxScreen | undefined

/** Would set the title of the window, clear it, move up, and turn the rest of the line round. */
const SAYS = '\u001b]0;owned\u0007\u001b[2J\u001b[9A\u202ecannot go on\u202c\u001b[8m'

/** A program that writes {@link SAYS} on standard error and fails. */
function complaining(): Uint8Array {
  const at = 1_024
  const length = Buffer.byteLength(SAYS)
  return assemble({
    imports: ['fd_write', 'proc_exit'],
    texts: [[at, SAYS]],
    start: [
      ...[...i32(0), ...i32(at), ...op.i32Store],
      ...[...i32(4), ...i32(length), ...op.i32Store],
      ...[...i32(2), ...i32(0), ...i32(1), ...i32(8), ...call(0), ...op.drop],
      ...[...i32(3), ...call(1)],
    ],
  })
}

const dashboard = suite('manyhands top on a terminal')
const test = clusterTests(cluster, dashboard)

dashboard.before(async () => {
  if (!hasTmux()) return
  await cluster.node('peer')
  await cluster.worker('worker')
  const program = join(cluster.folder, 'complain.wasm')
  writeFileSync(program, complaining())
  const submit = (...words: readonly string[]) =>
    cluster.asked(['submit', ...words, '--quorum', '1', '--no-trial'], { data: 'worker' })
  expectCode(await submit(program, '--count', '3', '--name', 'evil\u202eeman \u65e5\u672c'), 0)
  expectCode(await submit('mersenne', '--array', '20000-30000', '--name', 'exponents'), 0)
})
dashboard.after(async () => {
  screen?.close()
  await cluster.close()
})

/** As many rows as the terminal has, the keys on the last but one, and nothing that stands outside. */
function isWhole(shown: TmuxScreen, columns: number, rows: number): void {
  const lines = shown.rows()
  assert.is(lines.length, rows)
  assert.match(lines[0]!, /^ 1 Jobs {2}2 Units {2}3 Peers {2}4 Me {2}5 Log/)
  assert.is(lines[1], '─'.repeat(columns))
  assert.match(lines[rows - 2]!, /\? help {2}q quit$/)
  assert.is(lines[rows - 1], '')
}

test('shows a grid that computes at 80x24 and 200x60, and does what its keys say', async () => {
  if (!hasTmux()) {
    console.log('skipped: there is no tmux on this machine')
    return
  }
  const where = `--network ${cluster.network} --data ${join(cluster.folder, 'worker')}`
  const errors = join(cluster.folder, 'top.stderr')
  screen = new TmuxScreen(cluster.folder, `'${process.execPath}' '${MAIN}' top ${where} 2>'${errors}'`, 80, 24)
  const shown = screen

  await shown.until(/[0-9a-f]{8} {2}running .*exponents/, 'the job that runs')
  await shown.until(/units +[1-9]\d* settled · /, 'its settled units')
  isWhole(shown, 80, 24)

  // A failed unit of a program that means harm, reached by search, filter and enter.
  shown.press('/')
  shown.type('evil')
  shown.press('Enter')
  await shown.until(/only those with 'evil'/, 'the search')
  shown.press('Enter')
  await shown.until(/\[all\] +3 failed/, 'the units of the job')
  shown.press('f')
  await shown.until(/\[3 failed\][\s\S]*▸ +0 +failed/, 'its failed units')
  shown.press('Enter')
  await shown.until(/stderr[\s\S]*cannot go on/, 'what the failed unit wrote')
  assert.match(shown.text, /exit code 3/)
  assert.is.not(shown.variable('pane_title'), 'owned')
  isWhole(shown, 80, 24)

  shown.resize(200, 60)
  await shown.until(/\n─{200}\n/, 'the wide screen')
  await shown.until(/history[\s\S]*granted to/, 'who computed the unit')
  shown.press('4')
  await shown.until(/\d[kMG]? steps +mersenne@1 unit \d+ of exponents for [0-9a-f]{8}/, 'what each thread does')
  isWhole(shown, 200, 60)
  shown.press('p')
  await shown.until(/state +paused/, 'the pause')
  shown.press('p')
  await shown.until(/state +computing/, 'the worker going on')
  shown.press('3')
  await shown.until(/1 peer · 1 may own jobs · 1 answered/, 'the peer')
  shown.press('5')
  await shown.until(/info +overlay: joined/, 'the log of the worker')
  isWhole(shown, 200, 60)

  shown.resize(80, 24)
  await shown.until(/\n─{80}\n/, 'the small screen again')
  shown.press('1', 'Escape')
  await shown.until(/exponents/, 'all jobs again')
  shown.press('Home', 'c')
  await shown.until(/cancel [0-9a-f]{8} exponents\?/, 'the question')
  shown.press('y')
  await shown.until(/[0-9a-f]{8} {2}cancelled /, 'the job cancelled')
  isWhole(shown, 80, 24)
  shown.press('q')
  await eventually(() => shown.hasEnded, 10_000, 'the end')
})

dashboard.run()
