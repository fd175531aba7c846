/** What one connection makes us hold. Made by {@link HeldBytes.open}. */
export interface Holding<Connection> {
  readonly connection: Connection
  /** As limits count addresses. */
  readonly address: string
  /** Unit: bytes. Range: 0 and more. */
  bytes: number
  isOpen: boolean
}

/**
 * Counts what strangers make this peer keep in memory, by connection, and names the connection to end when that is more than
 * may be: of the address that holds most, the one that holds most. So who sends halves of messages, or does not read
 * answers, pays for it, and nobody else.
 */
export class HeldBytes<Connection> {
  readonly #max: number
  readonly #byAddress = new Map<string, Set<Holding<Connection>>>()
  #total = 0

  /** `max` unit: bytes. Range: 1 and more. */
  constructor(max: number) {
    this.#max = max
  }

  /** Held in all. Unit: bytes. */
  get total(): number {
    return this.#total
  }

  /** Counts a connection from now on, until {@link close}. There are as many as the listener lets in. */
  open(connection: Connection, address: string): Holding<Connection> {
    const holding = { connection, address, bytes: 0, isOpen: true }
    const same = this.#byAddress.get(address)
    if (same === undefined) this.#byAddress.set(address, new Set([holding]))
    else same.add(holding)
    return holding
  }

  /** What the connection held counts no more, nor what is said of it from now on. Safe to call twice. */
  close(holding: Holding<Connection>): void {
    if (!holding.isOpen) return
    holding.isOpen = false
    this.#total -= holding.bytes
    const same = this.#byAddress.get(holding.address)
    same?.delete(holding)
    if (same?.size === 0) this.#byAddress.delete(holding.address)
  }

  /** Holds `bytes` more, or less. The connection to end now, if that is too much: the caller ends it, and closes it here. */
  change(holding: Holding<Connection>, bytes: number): Holding<Connection> | undefined {
    if (!holding.isOpen) return undefined
    holding.bytes += bytes
    this.#total += bytes
    return bytes > 0 && this.#total > this.#max ? this.#greediest() : undefined
  }

  #greediest(): Holding<Connection> | undefined {
    let most = -1
    let greediest: ReadonlySet<Holding<Connection>> = new Set()
    for (const same of this.#byAddress.values()) {
      let bytes = 0
      for (const holding of same) bytes += holding.bytes
      if (bytes <= most) continue
      most = bytes
      greediest = same
    }
    let worst: Holding<Connection> | undefined
    for (const holding of greediest) if (worst === undefined || holding.bytes > worst.bytes) worst = holding
    return worst
  }
}
