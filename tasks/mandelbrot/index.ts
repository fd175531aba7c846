import type { Task } from '../task.js'
import { execute } from './execute.js'
import { reduce } from './reduce.js'
import { readView } from './view.js'

/**
 * A picture of the Mandelbrot set, drawn in bands of rows and put together as a PNG.
 *
 * Options and defaults: `usage` below. Output of a unit: its band as a binary PPM, coloured and smoothed; nothing when there are
 * more tiles than rows. Result: `mandelbrot.png`, and a line that names it with its size.
 * Only sums, products, quotients and comparisons of IEEE doubles are used, in a fixed order: no function whose last bit
 * may differ between engines.
 * Fuel: for each sampled point one step, and its escape time in whole iterations, or `--iterations` when it was followed
 * that far in vain (the main cardioid and the disc to its left are known by formula and not followed).
 */
export const mandelbrot: Task = {
  name: 'mandelbrot',
  version: 1,
  summary: 'draw the Mandelbrot set as a PNG, in bands of rows',
  usage: [
    'manyhands submit mandelbrot --count 64 --wait -o picture',
    'manyhands submit mandelbrot --count 64 --wait -o seahorses -- --x -0.7453 --y 0.1127 --zoom 400 --iterations 5000',
    'Options:',
    '  --width 1024 --height 768   pixels of the picture',
    '  --x -0.7 --y 0              the point in its middle',
    '  --zoom 1                    the shorter side shows 2.4 / zoom',
    '  --iterations 1000           after which a point counts as inside',
    '  --samples 2                 a pixel is the mean of samples x samples points',
    '  --tile T --tiles N          which band of how many; default the unit and their number',
  ].join('\n'),
  defaultArguments: [],
  sources: ['count', 'array', 'range'],
  check: ({ args }) => {
    const view = readView(args)
    return view.ok ? undefined : view.message
  },
  execute,
  reduce,
}
