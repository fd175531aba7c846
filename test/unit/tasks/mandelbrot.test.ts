import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { escapeTime, FOLLOWED_INSIDE, KNOWN_INSIDE } from '../../../tasks/mandelbrot/escape.js'
import { FIXED_ONE, log2Fixed } from '../../../tasks/mandelbrot/fixed-log.js'
import { mandelbrot } from '../../../tasks/mandelbrot/index.js'
import { decodeTile, encodeTile } from '../../../tasks/mandelbrot/tile.js'
import { rowsOfTile } from '../../../tasks/mandelbrot/view.js'
import { FuelExhausted } from '../../../tasks/task.js'
import { reduceOutputs, refusal, runUnit } from '../../support/compute/run-task.js'
import { rejects } from '../../support/rejects.js'

const SMALL = ['--width', '24', '--height', '17', '--iterations', '200']

/** What version 1 gives for a small view of Seahorse Valley. */
const VERSION_1_DIGEST = 'b36ca06270a7e28a63c04be1e341b6553ec65cf3fb3e093e72baf54ca41fa027'
const VERSION_1_FUEL = 184_406n

/** The small picture as letters: # inside, . outside, from the definition and with no more than the four samples of each pixel. */
function plainPicture(width: number, height: number, iterations: number): string[] {
  const rows: string[] = []
  const pitch = 2.4 / 1 / (Math.min(width, height) * 2)
  const inside = (x: number, y: number) => {
    let [re, im] = [0, 0]
    for (let n = 0; n < iterations; n++) {
      ;[re, im] = [re * re - im * im + x, 2 * re * im + y]
      if (re * re + im * im > 65536) return false
    }
    return true
  }
  for (let row = 0; row < height; row++) {
    let text = ''
    for (let column = 0; column < width; column++) {
      const points = [0, 1, 2, 3].map((n) =>
        inside(
          -0.7 + (column * 2 + (n & 1) - (2 * width - 1) / 2) * pitch,
          -(row * 2 + (n >> 1) - (2 * height - 1) / 2) * pitch,
        ),
      )
      text += points.every((point) => point) ? '#' : '.'
    }
    rows.push(text)
  }
  return rows
}

async function tiles(count: number, args: readonly string[]): Promise<Uint8Array[]> {
  const outputs: Uint8Array[] = []
  for (let tile = 0; tile < count; tile++) {
    const run = await runUnit(mandelbrot, [...args, '--tile', String(tile), '--tiles', String(count)])
    assert.is(run.exitCode, 0, run.stderr)
    outputs.push(run.bytes)
  }
  return outputs
}

const test = suite('mandelbrot')

test('knows points inside and outside the set', () => {
  const points = (text: string) => text.split(' ').map((point) => point.split(',').map(Number) as [number, number])
  for (const [x, y] of points('0,0 -1,0 0.25,0 -0.5,0.5 -0.76,0.05'))
    assert.is(escapeTime(x, y, 1000), KNOWN_INSIDE, `${x} ${y}`)
  for (const [x, y] of points('-2,0 0,1 -0.12,0.75 -1.75488,0'))
    assert.is(escapeTime(x, y, 1000), FOLLOWED_INSIDE, `${x} ${y}`)
  // The last three lie just outside the disc and the cardioid that are known by formula.
  for (const [x, y] of points('0.26,0 1,0 -2.01,0 0,1.01 0.5,0.5 -0.755,0.061 -1.246,0.057 0.353,0.361')) {
    assert.ok(escapeTime(x, y, 1000) >= 0, `${x} ${y}`)
  }
})

test('counts the iterations of c = 1 and c = 2 as worked by hand', () => {
  // c = 1: 1, 2, 5, 26, 677: five iterations, |z|^2 = 458,329. c = 2: 2, 6, 38, 1446: four, |z|^2 = 2,090,916.
  const smooth = (iterations: number, square: number) => (iterations - Math.log2(Math.log2(square) / 16)) * FIXED_ONE
  assert.ok(Math.abs(escapeTime(1, 0, 100) - smooth(5, 458_329)) <= 2)
  assert.ok(Math.abs(escapeTime(2, 0, 100) - smooth(4, 2_090_916)) <= 2)
  assert.is(escapeTime(1, 0, 4), FOLLOWED_INSIDE)
})

test('takes binary logarithms as the mathematics library does, rounded down', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 1e30, noNaN: true }), (x) => {
      const error = Math.log2(x) * FIXED_ONE - log2Fixed(x)
      assert.ok(error > -1e-6 && error < 1 + 1e-6, `${x}: ${error}`)
    }),
  )
  assert.equal(
    [1, 2, 65536, 2 ** 40].map(log2Fixed),
    [0, 1, 16, 40].map((n) => n * FIXED_ONE),
  )
})

test('draws a small picture whose inside is where the definition puts it', async () => {
  const reduced = await reduceOutputs(mandelbrot, await tiles(5, SMALL))
  const png = PNG.sync.read(Buffer.from(reduced.files!.get('mandelbrot.png')!))
  assert.equal([png.width, png.height], [24, 17])
  const rows: string[] = []
  for (let row = 0; row < png.height; row++) {
    let text = ''
    for (let column = 0; column < png.width; column++) {
      const at = (row * png.width + column) * 4
      assert.is(png.data[at + 3], 255)
      text += png.data[at]! + png.data[at + 1]! + png.data[at + 2]! === 0 ? '#' : '.'
    }
    rows.push(text)
  }
  assert.equal(rows, plainPicture(24, 17, 200))
  assert.is(reduced.text, `mandelbrot.png 24x17, ${reduced.files!.get('mandelbrot.png')!.length} bytes\n`)
})

test('draws the same picture however it is cut, also into more tiles than rows', async () => {
  const whole = (await reduceOutputs(mandelbrot, await tiles(1, SMALL))).files
  for (const count of [2, 7, 17, 30])
    assert.equal((await reduceOutputs(mandelbrot, await tiles(count, SMALL))).files, whole)
})

test('gives the bytes and the fuel of version 1: others need another version', async () => {
  const run = await runUnit(mandelbrot, [...SMALL, '--x', '-0.7453', '--y', '0.1127', '--zoom', '400'])
  assert.is(createHash('sha256').update(run.bytes).digest('hex'), VERSION_1_DIGEST)
  assert.is(run.fuel, VERSION_1_FUEL)
})

test('draws the band of the unit when no tile is named', async () => {
  const named = await runUnit(mandelbrot, [...SMALL, '--tile', '2', '--tiles', '5'])
  assert.equal(await runUnit(mandelbrot, SMALL, { unit: 2, unitCount: 5 }), named)
  assert.is(mandelbrot.check!({ args: ['--width', '9000', '--height', '9000'], fileNames: [] }), undefined)
})

test('is symmetric about the real axis', async () => {
  const band = decodeTile((await tiles(1, SMALL))[0]!)!
  const row = (n: number) => band.pixels.subarray(n * 24 * 3, (n + 1) * 24 * 3)
  for (let n = 0; n < 8; n++) assert.equal(row(n), row(16 - n))
})

test('leaves missing rows transparent and says how many there are', async () => {
  const [first, , third] = await tiles(3, SMALL)
  const reduced = await reduceOutputs(mandelbrot, [first, undefined, third])
  assert.match(reduced.text, ', 11 of 17 rows\n')
  const png = PNG.sync.read(Buffer.from(reduced.files!.get('mandelbrot.png')!))
  const alpha = Array.from({ length: 17 }, (_, row) => png.data[row * 24 * 4 + 3])
  assert.equal(alpha, [...Array(5).fill(255), ...Array(6).fill(0), ...Array(6).fill(255)])
})

test('has no picture when no unit was accepted', async () => {
  const reduced = await reduceOutputs(mandelbrot, [undefined, ''])
  assert.is(reduced.text, 'no rows, no picture\n')
  assert.is(reduced.files, undefined)
})

test('refuses to put together what is no picture, or parts of two', async () => {
  const [tile] = await tiles(1, SMALL)
  const [wider] = await tiles(1, ['--width', '25', '--height', '17'])
  await rejects(reduceOutputs(mandelbrot, ['P6\n']), /unit 0 did not print a band/)
  await rejects(reduceOutputs(mandelbrot, [tile!.subarray(1)]), /unit 0 did not print a band/)
  await rejects(reduceOutputs(mandelbrot, [tile, wider]), /unit 1 is of a picture of another size/)
})

test('reads back the tiles it writes and nothing else', () => {
  const band = { width: 2, height: 9, from: 3, to: 5, pixels: Uint8Array.from({ length: 12 }, (_, n) => n) }
  const bytes = encodeTile(band)
  assert.equal(decodeTile(bytes), band)
  for (let length = 0; length < bytes.length; length++) assert.is(decodeTile(bytes.subarray(0, length)), undefined)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => assert.is(decodeTile(noise), undefined)))
})

test('cuts every row into exactly one tile', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 }), (height, count) => {
      let next = 0
      for (let tile = 0; tile < count; tile++) {
        const { from, to } = rowsOfTile({ height, tile, tiles: count })
        assert.is(from, next)
        next = to
      }
      assert.is(next, height)
    }),
  )
})

test('burns a step for each point and its iterations, equally often on every run', async () => {
  // One point, c = 1: escape time a little below 5. One point inside by formula. One followed to the limit in vain.
  const point = (x: string) => ['--width', '1', '--height', '1', '--samples', '1', '--iterations', '300', '--x', x]
  assert.is((await runUnit(mandelbrot, point('1'))).fuel, 1n + 4n)
  assert.is((await runUnit(mandelbrot, point('0'))).fuel, 1n)
  assert.is((await runUnit(mandelbrot, point('-2'))).fuel, 1n + 300n)
  assert.is((await runUnit(mandelbrot, SMALL)).fuel, (await runUnit(mandelbrot, SMALL)).fuel)
  await rejects(runUnit(mandelbrot, SMALL, { fuelLimit: 1000n }), (error) => error instanceof FuelExhausted)
})

test('says what is wrong with arguments', async () => {
  assert.match(await refusal(mandelbrot, ['--width', '0']), "--width must be an integer from 1 to 32768, not '0'")
  assert.match(
    await refusal(mandelbrot, ['--width', '30000', '--height', '30000']),
    'a picture may have 100000000 pixels',
  )
  assert.match(
    await refusal(mandelbrot, ['--width', '9000', '--height', '9000']),
    'cut the picture into more with --count',
  )
  assert.match(
    await refusal(mandelbrot, ['--zoom', 'much']),
    "--zoom must be a number from 0.1 to 1000000000000, not 'much'",
  )
  assert.match(await refusal(mandelbrot, ['--x', 'NaN']), '--x must be a number from -4 to 4')
  assert.match(
    await refusal(mandelbrot, ['--tile', '4', '--tiles', '4']),
    "--tile must be an integer from 0 to 3, not '4'",
  )
  assert.match(await refusal(mandelbrot, ['--colour', 'red']), 'unknown option --colour; known: --width')
  assert.match(await refusal(mandelbrot, ['big']), "options only, such as --width 1024, not 'big'")
  assert.match(await refusal(mandelbrot, ['--y=1', '--y=2']), 'option --y is given twice')
  assert.is(mandelbrot.check!({ args: ['--tile', '0', '--tiles', '9'], fileNames: [] }), undefined)
})

test.run()
