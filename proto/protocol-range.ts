/** Oldest version of the protocol that this program speaks. Peers and workers whose ranges do not overlap do not talk. */
export const PROTOCOL_MIN = 1
/** Newest version of the protocol that this program speaks. */
export const PROTOCOL_MAX = 1

/** Versions that somebody speaks, both ends included. */
export interface ProtocolRange {
  readonly protocolMin: number
  readonly protocolMax: number
}

/** Why this program and one that speaks `theirs` cannot talk, to stand behind its name; undefined: they can. */
export function protocolGap(theirs: ProtocolRange): string | undefined {
  const { protocolMin, protocolMax } = theirs
  if (protocolMin <= PROTOCOL_MAX && protocolMax >= PROTOCOL_MIN) return undefined
  const older = protocolMax < PROTOCOL_MIN ? 'it is too old' : 'it is newer'
  return `speaks version ${rangeText(theirs)} of the protocol, and this peer ${rangeText({ protocolMin: PROTOCOL_MIN, protocolMax: PROTOCOL_MAX })}: ${older}`
}

function rangeText({ protocolMin, protocolMax }: ProtocolRange): string {
  return protocolMin === protocolMax ? `${protocolMin}` : `${protocolMin} to ${protocolMax}`
}
