/** A band of rows of a picture: from `from` to `to` (exclusive), `width` pixels of three bytes each. */
export interface Band {
  readonly width: number
  /** Height of the whole picture. */
  readonly height: number
  readonly from: number
  readonly to: number
  /** Red, green, blue; row by row. */
  readonly pixels: Uint8Array
}

/** Longest header of a tile. */
const HEADER_BYTES_MAX = 128

/** `band` as a binary PPM picture, which viewers open as it is, with its place in a comment. */
export function encodeTile(band: Band): Uint8Array {
  const { width, height, from, to, pixels } = band
  const header = new TextEncoder().encode(`P6\n# rows ${from} to ${to} of ${height}\n${width} ${to - from}\n255\n`)
  const bytes = new Uint8Array(header.length + pixels.length)
  bytes.set(header)
  bytes.set(pixels, header.length)
  return bytes
}

/** The reverse of {@link encodeTile}; undefined for bytes that it did not make. */
export function decodeTile(bytes: Uint8Array): Band | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, HEADER_BYTES_MAX))
  const match = /^P6\n# rows (\d{1,6}) to (\d{1,6}) of (\d{1,6})\n(\d{1,6}) (\d{1,6})\n255\n/.exec(head)
  if (match === null) return undefined
  const [from, to, height, width, rows] = match.slice(1).map(Number) as [number, number, number, number, number]
  const pixels = bytes.subarray(match[0].length)
  if (from >= to || to > height || width === 0 || rows !== to - from || pixels.length !== rows * width * 3)
    return undefined
  return { width, height, from, to, pixels }
}
