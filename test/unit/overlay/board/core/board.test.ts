import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Board, type BoardLimits, boardOf } from '../../../../../overlay/board/core/board.js'
import type { JobId, NodeId, PublicKey } from '../../../../../proto/model.js'
import type { Announcement } from '../../../../../proto/overlay-messages.js'
import { systemRandom } from '../../../../../runtime/random.js'

const LIMITS: BoardLimits = {
  announcementsMax: 10,
  announcementsPerSubmitterMax: 4,
  announcementsPerHostMax: 6,
  announcementsPerJobMax: 2,
  watchersMax: 100,
  watchersPerHostMax: 50,
  audienceMin: 5,
}
const ALL = 0xffff
const ownerAt = (i: number) => i.toString(16).padStart(40, '0') as NodeId
const jobAt = (i: number) => i.toString(16).padEnd(64, '0') as JobId
const announce = (job: number, changes: Partial<Announcement> = {}): Announcement => ({
  jobId: jobAt(job),
  submitter: 'ab'.repeat(32) as PublicKey,
  ready: 1,
  expiresInMs: 60_000,
  header: new Uint8Array(1),
  ...changes,
})
const begin = () => new Board<string>(LIMITS, systemRandom)
const post = (board: Board<string>, announcement: Announcement, owner = 1, host = 'h', now = 0) =>
  board.post(announcement, `owner ${owner}`, ownerAt(owner), host, now)
const watchers = (posting: ReturnType<typeof post>) =>
  posting.ok ? posting.effects.map(({ watcher }) => watcher) : posting.reason

const boards = suite('Board')

boards('keeps one announcement a job and owner until it expires', () => {
  const board = begin()
  post(board, announce(1))
  post(board, announce(1, { ready: 9 }))
  post(board, announce(1), 2)
  assert.equal(
    board.posted().map(({ announcement, owner }) => [announcement.ready, owner]),
    [
      [9, 'owner 1'],
      [1, 'owner 2'],
    ],
  )
  board.expire(60_000)
  assert.is(board.size, 0)
  board.checkInvariants()
})

boards('tells an audience sized to the ready work, more at each renewal, and everyone told of the end', () => {
  const board = begin()
  for (let i = 0; i < 40; i++) board.watch(ALL, 'w', 0)
  const first = watchers(post(board, announce(1)))
  assert.is(first.length, 5)
  const second = watchers(post(board, announce(1, { ready: 12 })))
  assert.is(second.length, 17)
  assert.ok(
    (first as number[]).every((watcher) => (second as number[]).includes(watcher)),
    'the same hear of the change',
  )
  const end = post(board, announce(1, { ready: 0 }))
  assert.ok(end.ok && end.effects.every((effect) => effect.type === 'withdraw'))
  assert.equal([...watchers(end)].sort(), [...second].sort())
  assert.is(board.size, 0)
  board.checkInvariants()
})

boards('shows a new watcher what stands on the boards it asked for', () => {
  const board = begin()
  post(board, announce(1))
  post(board, announce(2))
  const watched = board.watch(1 << boardOf(jobAt(2)), 'w', 1)
  assert.equal(
    watched?.effects.flatMap((effect) =>
      effect.type === 'push' ? effect.entries.map((entry) => entry.announcement.jobId) : [],
    ),
    [jobAt(2)],
  )
  assert.equal(watchers(post(board, announce(1))), [])
  board.unwatch(watched!.watcher)
  assert.equal(watchers(post(board, announce(2))), [])
  board.checkInvariants()
})

boards('has quotas for job, submitter, address, all, and watchers', () => {
  const board = begin()
  const submitter = (i: number) => i.toString(16).padStart(64, '0') as PublicKey
  assert.ok(post(board, announce(1), 1).ok && post(board, announce(1), 2).ok)
  assert.is(watchers(post(board, announce(1), 3)), 'jobQuota')
  assert.ok(post(board, announce(2), 1).ok && post(board, announce(3), 1).ok)
  assert.is(watchers(post(board, announce(4), 1)), 'submitterQuota')
  assert.ok(
    post(board, announce(5, { submitter: submitter(5) })).ok &&
      post(board, announce(6, { submitter: submitter(6) })).ok,
  )
  assert.is(watchers(post(board, announce(7, { submitter: submitter(7) }))), 'hostQuota')
  for (let i = 8; i < 12; i++) assert.ok(post(board, announce(i, { submitter: submitter(i) }), 1, 'other').ok)
  assert.is(watchers(post(board, announce(12, { submitter: submitter(12) }), 1, 'third')), 'boardFull')
  board.checkInvariants()
  for (let i = 0; i < 50; i++) assert.ok(board.watch(ALL, 'w', 0))
  assert.is(board.watch(ALL, 'w', 0), undefined)
  for (let i = 0; i < 50; i++) assert.ok(board.watch(ALL, 'v', 0))
  assert.is(board.watch(ALL, 'u', 0), undefined)
})

boards.run()
