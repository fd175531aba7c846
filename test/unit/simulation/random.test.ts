import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SeededRandom } from '../../simulation/world/random.js'

const test = suite('SeededRandom')
const draw = (random: SeededRandom, count = 20) => Array.from({ length: count }, () => random.next())

test('the same name gives the same numbers, another name others', () => {
  assert.equal(draw(new SeededRandom('7')), draw(new SeededRandom('7')))
  assert.not.equal(draw(new SeededRandom('7')), draw(new SeededRandom('8')))
})

test('a split depends on its name alone, not on what was drawn or split before', () => {
  const plain = new SeededRandom('7')
  const used = new SeededRandom('7')
  draw(used)
  used.split('newcomer')
  assert.equal(draw(plain.split('disk')), draw(used.split('disk')))
  assert.not.equal(draw(plain.split('disk')), draw(plain.split('network')))
})

test('numbers are spread evenly', () => {
  const random = new SeededRandom('even')
  const buckets = new Array<number>(10).fill(0)
  for (let count = 0; count < 100_000; count++) buckets[random.int(10)]!++
  for (const bucket of buckets) assert.ok(Math.abs(bucket - 10_000) < 500, buckets.join(' '))
  const bytes = random.bytes(10_000)
  assert.ok(new Set(bytes).size === 256)
  let sum = 0
  for (let count = 0; count < 100_000; count++) sum += random.exponential(5)
  assert.ok(Math.abs(sum / 100_000 - 5) < 0.1, String(sum / 100_000))
})

test('bounds hold at their extremes', () => {
  const random = new SeededRandom('bounds')
  for (let count = 0; count < 10_000; count++) {
    assert.is(random.int(1), 0)
    const wide = random.int(2 ** 32)
    assert.ok(Number.isInteger(wide) && wide >= 0 && wide < 2 ** 32)
    const between = random.between(-5, 5)
    assert.ok(between >= -5 && between < 5)
  }
  assert.is(random.pick([]), undefined)
})

test.run()
