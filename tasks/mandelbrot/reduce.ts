import type { AcceptedOutput, Reduced } from '../task.js'
import { type Band, decodeTile } from './tile.js'

/** Name of the picture in the folder of `-o DIR`. */
const PICTURE_NAME = 'mandelbrot.png'

/** Puts the bands together as `mandelbrot.png`; rows that are missing stay transparent. Throws for an output that is no band of the same picture. */
export async function reduce(outputs: AsyncIterable<AcceptedOutput>): Promise<Reduced> {
  let first: Band | undefined
  let picture: Uint8Array = new Uint8Array(0)
  let rows = 0
  for await (const { unit, stdout } of outputs) {
    if (stdout.length === 0) continue
    const band = decodeTile(stdout)
    if (band === undefined) throw new Error(`unit ${unit} did not print a band of a picture`)
    if (first === undefined) {
      first = band
      picture = new Uint8Array(band.width * band.height * 4)
    }
    if (band.width !== first.width || band.height !== first.height) {
      throw new Error(`unit ${unit} is of a picture of another size; --width and --height must be the same for all`)
    }
    let to = band.from * band.width * 4
    for (let from = 0; from < band.pixels.length; from += 3) {
      picture[to++] = band.pixels[from]!
      picture[to++] = band.pixels[from + 1]!
      picture[to++] = band.pixels[from + 2]!
      picture[to++] = 255
    }
    rows += band.to - band.from
  }
  if (first === undefined) return { stdout: 'no rows, no picture\n' }
  const bytes = await encodePng(first.width, first.height, picture)
  const missing = rows === first.height ? '' : `, ${rows} of ${first.height} rows`
  return {
    stdout: `${PICTURE_NAME} ${first.width}x${first.height}, ${bytes.length} bytes${missing}\n`,
    files: new Map([[PICTURE_NAME, bytes]]),
  }
}

async function encodePng(width: number, height: number, rgba: Uint8Array): Promise<Uint8Array> {
  // Loaded here, so that threads that only compute tiles do without it.
  const { PNG } = await import('pngjs')
  const png = new PNG({ width, height })
  png.data.set(rgba)
  return new Uint8Array(PNG.sync.write(png))
}
