/** How much may wait. */
export interface FairQueueLimits {
  /** Range: 1 to 1,000,000. */
  readonly waitingMax: number
  readonly waitingPerAddressMax: number
  readonly waitingPerKeyMax: number
}

/** Whoever asks: an address (as limits count it), and a key behind it. */
export interface Asker {
  readonly address: string
  readonly key: string
}

/**
 * One level of start-time fair queueing (Goyal, Vin and Cheng 1996): each flow has a virtual time, what it has cost so far;
 * the least is served next. A flow that was idle begins at the virtual time of the last one served, so that nobody saves up.
 */
class Flows<Flow extends { virtual: number }> {
  readonly #flows = new Map<string, Flow>()
  /** Virtual time of the flow that was served last. */
  #now = 0

  get size(): number {
    return this.#flows.size
  }

  get(name: string): Flow | undefined {
    return this.#flows.get(name)
  }

  add(name: string, flow: Flow): void {
    flow.virtual = this.#now
    this.#flows.set(name, flow)
  }

  /** A flow that waits again after it had nothing to wait for. */
  wake(flow: Flow): void {
    flow.virtual = Math.max(flow.virtual, this.#now)
  }

  /** The flow that has cost least, of those that wait. */
  least(waits: (flow: Flow) => boolean): Flow | undefined {
    let least: Flow | undefined
    for (const flow of this.#flows.values()) {
      if (waits(flow) && (least === undefined || flow.virtual < least.virtual)) least = flow
    }
    if (least !== undefined) this.#now = Math.max(this.#now, least.virtual)
    return least
  }

  /** All are even again. */
  clear(): void {
    if (this.#flows.size > 0) this.#flows.clear()
    this.#now = 0
  }

  /** Forgets flows that have nothing to wait for and are not ahead of the others: to come back costs them nothing. */
  forget(waits: (flow: Flow) => boolean): void {
    for (const [name, flow] of this.#flows) {
      if (!waits(flow) && flow.virtual <= this.#now) this.#flows.delete(name)
    }
  }
}

interface KeyFlow<Item> {
  virtual: number
  readonly waiting: Item[]
}

interface AddressFlow<Item> {
  virtual: number
  waiting: number
  readonly keys: Flows<KeyFlow<Item>>
}

/** Flows kept before those without anything to do are looked through. */
const FLOWS_MAX = 4_096

/**
 * Whose turn it is: fair between addresses, and behind each address between keys, by what each has cost. One address with a
 * thousand keys gets as much as another with one. First in, first out for one key. Costs may be any unit; they are told
 * afterwards, with {@link charge}.
 */
export class FairQueue<Item> {
  readonly #limits: FairQueueLimits
  readonly #addresses = new Flows<AddressFlow<Item>>()
  #waiting = 0

  constructor(limits: FairQueueLimits) {
    this.#limits = limits
  }

  /** Items that wait. */
  get size(): number {
    return this.#waiting
  }

  /** Puts an item at the end of its key's line. False, with nothing changed: as much waits already as may. */
  offer(asker: Asker, item: Item): boolean {
    const { waitingMax, waitingPerAddressMax, waitingPerKeyMax } = this.#limits
    const address = this.#address(asker.address)
    const key = keyOf(address, asker.key)
    const isFull =
      this.#waiting >= waitingMax || address.waiting >= waitingPerAddressMax || key.waiting.length >= waitingPerKeyMax
    if (isFull) return false
    if (address.waiting === 0) this.#addresses.wake(address)
    if (key.waiting.length === 0) address.keys.wake(key)
    key.waiting.push(item)
    address.waiting++
    this.#waiting++
    return true
  }

  /** The next item, of the key that has cost least behind the address that has cost least. Undefined: none waits. */
  take(): Item | undefined {
    const address = this.#addresses.least(({ waiting }) => waiting > 0)
    if (address === undefined) return undefined
    const key = address.keys.least(({ waiting }) => waiting.length > 0)
    const item = key?.waiting.shift()
    address.waiting--
    this.#waiting--
    return item
  }

  /** What an item of `asker` has cost. Range: 0 and more. Where nobody waits, nobody was wronged: then all are even again. */
  charge(asker: Asker, cost: number): void {
    if (this.#waiting === 0) {
      this.#addresses.clear()
      return
    }
    const address = this.#address(asker.address)
    const key = keyOf(address, asker.key)
    address.virtual += cost
    key.virtual += cost
  }

  #address(name: string): AddressFlow<Item> {
    const known = this.#addresses.get(name)
    if (known !== undefined) return known
    if (this.#addresses.size >= FLOWS_MAX) this.#addresses.forget(({ waiting }) => waiting > 0)
    const flow: AddressFlow<Item> = { virtual: 0, waiting: 0, keys: new Flows() }
    this.#addresses.add(name, flow)
    return flow
  }
}

function keyOf<Item>({ keys }: AddressFlow<Item>, name: string): KeyFlow<Item> {
  const known = keys.get(name)
  if (known !== undefined) return known
  if (keys.size >= FLOWS_MAX) keys.forget(({ waiting }) => waiting.length > 0)
  const flow: KeyFlow<Item> = { virtual: 0, waiting: [] }
  keys.add(name, flow)
  return flow
}
