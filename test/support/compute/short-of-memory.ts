/**
 * The admitted module `bytes`, of whose memory (`min` to `max` pages, both below 128) the engine gives `given` pages only: as
 * on a host that is short of memory.
 */
export function shortOfMemory(
  bytes: Uint8Array,
  { min, max, given }: { readonly min: number; readonly max: number; readonly given: number },
): Uint8Array {
  // Section 5 with a size of full length, and the one memory in it, with a bound.
  const section = [5, 0x84, 0x80, 0x80, 0x80, 0, 1, 1, min, max]
  const at = bytes.findIndex((_, index) => section.every((byte, offset) => bytes[index + offset] === byte))
  if (at === -1) throw new Error(`there is no memory of ${min} to ${max} pages`)
  const short = bytes.slice()
  short[at + section.length - 1] = given
  return short
}
