import { type Parsed, parseArguments, parseDecimal, parseInteger, shown } from '../arguments.js'

/** What one unit draws. */
interface View {
  /** Pixels of the whole picture. */
  readonly width: number
  readonly height: number
  /** The point in the middle. */
  readonly x: number
  readonly y: number
  /** The shorter side shows {@link SHORT_SIDE} / zoom. */
  readonly zoom: number
  /** Iterations after which a point counts as inside. */
  readonly iterations: number
  /** A pixel is the mean of samples x samples points. */
  readonly samples: number
  readonly tile: number
  readonly tiles: number
}

/** What the shorter side of the picture shows at zoom 1. */
export const SHORT_SIDE = 2.4
/** Longest side of a picture, in pixels. */
const SIDE_MAX = 32_768
/** Pixels of a picture: `results` holds it in memory as RGBA. */
const PIXELS_MAX = 100_000_000
/** Pixels of a tile; three bytes each stay below the default output limit of 16 MiB. */
const TILE_PIXELS_MAX = 5_000_000
/** Tiles of a picture: as many as a job may have units. */
const TILES_MAX = 10_000_000
/** Beyond it neighbouring pixels are the same double. */
const ZOOM_MAX = 1e12

const DEFAULTS = {
  width: '1024',
  height: '768',
  x: '-0.7',
  y: '0',
  zoom: '1',
  iterations: '1000',
  samples: '2',
}

/** Which band of how many: what `--tile` and `--tiles` stand in for. */
export interface Band {
  readonly unit: number
  readonly unitCount: number
}

/** Reads the options of a unit. Refuses pictures and tiles that are too large; without `place`, tiles only if `--tiles` is given. */
export function readView(args: readonly string[], place?: Band): Parsed<View> {
  const parsed = parseArguments(args, [...Object.keys(DEFAULTS), 'tile', 'tiles'])
  if (!parsed.ok) return parsed
  const extra = parsed.positional[0]
  if (extra !== undefined)
    return { ok: false, message: `mandelbrot takes options only, such as --width 1024, not '${shown(extra)}'` }
  const text = (name: keyof typeof DEFAULTS) => parsed.options.get(name) ?? DEFAULTS[name]
  const width = parseInteger('--width', text('width'), 1, SIDE_MAX)
  if (!width.ok) return width
  const height = parseInteger('--height', text('height'), 1, SIDE_MAX)
  if (!height.ok) return height
  const x = parseDecimal('--x', text('x'), -4, 4)
  if (!x.ok) return x
  const y = parseDecimal('--y', text('y'), -4, 4)
  if (!y.ok) return y
  const zoom = parseDecimal('--zoom', text('zoom'), 0.1, ZOOM_MAX)
  if (!zoom.ok) return zoom
  const iterations = parseInteger('--iterations', text('iterations'), 1, 10_000_000)
  if (!iterations.ok) return iterations
  const samples = parseInteger('--samples', text('samples'), 1, 8)
  if (!samples.ok) return samples
  const tiles = parseInteger(
    '--tiles',
    parsed.options.get('tiles') ?? String(place?.unitCount ?? TILES_MAX),
    1,
    TILES_MAX,
  )
  if (!tiles.ok) return tiles
  const tile = parseInteger('--tile', parsed.options.get('tile') ?? String(place?.unit ?? 0), 0, tiles.value - 1)
  if (!tile.ok) return tile
  const view: View = {
    width: width.value,
    height: height.value,
    x: x.value,
    y: y.value,
    zoom: zoom.value,
    iterations: iterations.value,
    samples: samples.value,
    tile: tile.value,
    tiles: tiles.value,
  }
  if (view.width * view.height > PIXELS_MAX)
    return { ok: false, message: `a picture may have ${PIXELS_MAX} pixels, not ${view.width * view.height}` }
  if (Math.ceil(view.height / view.tiles) * view.width > TILE_PIXELS_MAX) {
    return { ok: false, message: `a tile may have ${TILE_PIXELS_MAX} pixels; cut the picture into more with --count` }
  }
  return { ok: true, value: view }
}

/** Rows of the picture that belong to a tile: bands from top to bottom that differ by one row at most. `to` is exclusive. */
export function rowsOfTile(view: Pick<View, 'height' | 'tile' | 'tiles'>): {
  readonly from: number
  readonly to: number
} {
  const edge = (tile: number) => Math.floor((tile * view.height) / view.tiles)
  return { from: edge(view.tile), to: edge(view.tile + 1) }
}
