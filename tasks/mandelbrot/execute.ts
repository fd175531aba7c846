import { type TaskOutput, type UnitInput, usageError } from '../task.js'
import { escapeTime, FOLLOWED_INSIDE } from './escape.js'
import { FIXED_ONE } from './fixed-log.js'
import { addColour } from './palette.js'
import { encodeTile } from './tile.js'
import { readView, rowsOfTile, SHORT_SIDE } from './view.js'

/** Draws the unit's band of rows: a PPM picture, or nothing when there are more tiles than rows. */
export function execute(input: UnitInput): TaskOutput {
  const parsed = readView(input.args, input)
  if (!parsed.ok) return usageError(parsed.message)
  const view = parsed.value
  const { from, to } = rowsOfTile(view)
  if (from === to) return { exitCode: 0, stdout: new Uint8Array(0) }
  const { width, height, samples, iterations } = view
  const pixels = new Uint8Array(width * (to - from) * 3)
  // Distances count in samples from the middle of the picture; y points up.
  const pitch = SHORT_SIDE / view.zoom / (Math.min(width, height) * samples)
  const left = (width * samples - 1) / 2
  const top = (height * samples - 1) / 2
  const sum: [number, number, number] = [0, 0, 0]
  let at = 0
  for (let row = from; row < to; row++) {
    for (let column = 0; column < width; column++) {
      sum.fill(0)
      let steps = samples * samples
      for (let down = 0; down < samples; down++) {
        const y = view.y - (row * samples + down - top) * pitch
        for (let right = 0; right < samples; right++) {
          const x = view.x + (column * samples + right - left) * pitch
          const time = escapeTime(x, y, iterations)
          if (time >= 0) steps += Math.floor(time / FIXED_ONE)
          else if (time === FOLLOWED_INSIDE) steps += iterations
          addColour(sum, time)
        }
      }
      const points = samples * samples
      for (let channel = 0; channel < 3; channel++)
        pixels[at++] = Math.floor((2 * sum[channel]! + points) / (2 * points))
      input.burn(steps)
    }
  }
  return { exitCode: 0, stdout: encodeTile({ width, height, from, to, pixels }) }
}
