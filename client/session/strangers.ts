import type { NodeId } from '../../proto/model.js'
import { Limit } from '../../runtime/limit.js'
import type { GridClient } from './session.js'

/** Lookups at a time. */
const AT_ONCE = 8
/** Owners looked up for one job; who comes beyond that counts as a stranger: anybody can make up any number. */
const LOOKUPS_MAX = 256

/** Which signers of grants are peers that this client can find, by a lookup of each id. Asks once for each. */
export class Strangers {
  readonly #client: GridClient
  readonly #limit = new Limit(AT_ONCE)
  readonly #found = new Map<NodeId, Promise<boolean>>()

  constructor(client: GridClient) {
    this.#client = client
  }

  /** Those that no peer answers for. A lookup that fails accuses nobody. Never rejects. */
  async among(grantors: Iterable<NodeId>): Promise<ReadonlySet<NodeId>> {
    const strangers = new Set<NodeId>()
    const look = async (nodeId: NodeId) => {
      let found = this.#found.get(nodeId)
      if (found === undefined && this.#found.size < LOOKUPS_MAX) {
        found = this.#limit.run(() => this.#isPeer(nodeId)).catch(() => true)
        this.#found.set(nodeId, found)
      }
      if ((await found) !== true) strangers.add(nodeId)
    }
    await Promise.all([...new Set(grantors)].map(look))
    return strangers
  }

  async #isPeer(nodeId: NodeId): Promise<boolean> {
    const find = async () => (await this.#client.parts.overlay.owners(nodeId, 1))[0]?.nodeId === nodeId
    // A quick lookup may miss one: nobody is a stranger for that.
    return (await find()) || find()
  }
}
