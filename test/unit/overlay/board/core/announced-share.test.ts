import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type AnnouncedJob, makesRoom } from '../../../../../overlay/board/core/announced-share.js'
import type { JobId, PublicKey } from '../../../../../proto/model.js'

const share = suite('makesRoom')
const key = (name: string) => name.repeat(32) as PublicKey
const jobs = (submitter: string, count: number): AnnouncedJob[] =>
  Array.from({ length: count }, (_, i) => ({ jobId: `${submitter}${i}` as JobId, submitter: key(submitter) }))

share('takes from the submitter with most, and the last of its jobs', () => {
  assert.is(makesRoom([...jobs('aa', 3), ...jobs('bb', 5)], key('cc')), 'bb4')
  assert.is(makesRoom([...jobs('bb', 5), ...jobs('aa', 3)], key('aa')), 'bb4')
})

share('takes nothing from who would then have less', () => {
  assert.is(makesRoom(jobs('aa', 5), key('aa')), undefined)
  assert.is(makesRoom([...jobs('aa', 3), ...jobs('bb', 3)], key('aa')), undefined)
  assert.is(makesRoom([...jobs('aa', 3), ...jobs('bb', 4)], key('aa')), undefined)
  assert.is(makesRoom(jobs('aa', 1), key('cc')), undefined)
})

share('ends: two submitters that both want everything share it and leave it at that', () => {
  const announced = jobs('aa', 100)
  for (let i = 0; i < 100; i++) {
    const out = makesRoom(announced, key('bb'))
    if (out === undefined) break
    announced.splice(
      announced.findIndex(({ jobId }) => jobId === out),
      1,
      { jobId: `b${i}` as JobId, submitter: key('bb') },
    )
  }
  assert.is(announced.filter(({ submitter }) => submitter === key('bb')).length, 50)
  assert.is(makesRoom(announced, key('aa')), undefined)
  assert.is(makesRoom(announced, key('bb')), undefined)
})

share.run()
