import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WatchPlaces } from '../../../../coordinator/home/watch-places.js'
import type { PublicKey } from '../../../../proto/model.js'

const places = suite('Places to watch jobs from')

const caller = (key: number, host: string) => ({ publicKey: String(key) as PublicKey, host })

/** Takes places with a key each until one is refused. */
function fill(free: WatchPlaces, host: (at: number) => string): { left: (() => void)[]; refused: string } {
  const left: (() => void)[] = []
  for (let at = 0; ; at++) {
    try {
      left.push(free.take(caller(at, host(at))))
    } catch (error) {
      return { left, refused: (error as Error).message }
    }
  }
}

places('are bounded for a key, for an address and in all', () => {
  assert.is(fill(new WatchPlaces(), () => '192.0.2.1').left.length, 250)
  assert.is(fill(new WatchPlaces(), (at) => `2001:db8::${at.toString(16)}`).left.length, 250, 'one /64')
  assert.is(fill(new WatchPlaces(), (at) => `192.0.2.${at % 200}`).left.length, 1_000)
  const ofOne = new WatchPlaces()
  for (let i = 0; i < 64; i++) ofOne.take(caller(1, `192.0.2.${i}`))
  assert.throws(() => ofOne.take(caller(1, '192.0.2.99')), /64 of one key/)
  ofOne.take(caller(2, '192.0.2.1'))
})

places('are free again once they are left', () => {
  const free = new WatchPlaces()
  const { left, refused } = fill(free, () => '192.0.2.1')
  assert.match(refused, /at most 1000 watchers, 250 of an address and 64 of one key/)
  left[0]!()
  free.take(caller(0, '192.0.2.1'))
  assert.throws(() => free.take(caller(0, '192.0.2.1')))
})

places.run()
