import { ip, MadeParts } from '../processes/namespaces.js'

/** Addresses of the peer, one for each way to it: benchmarking (RFC 2544) and documentation (RFC 3849). Neither is private. */
const PEER_V4 = '198.18.0'
const PEER_V6 = '2001:db8:ffff::'

/** A way to the peer: who dials `to` is seen there at `from`. */
export interface Way {
  readonly from: string
  readonly to: string
}

/**
 * A network namespace for one peer, joined to this process by a link on which this process has as many addresses as wanted: a
 * crowd of hosts for the limits by address, which loopback is exempt from (Linux, `ip` of iproute2, the right to make
 * namespaces). Nothing of it is left after {@link remove}, which works at the exit of the process, too.
 */
export class CrowdNetwork {
  /** Words before a command line that have it run where the peer is. */
  readonly under: readonly string[]
  /** What the peer is to advertise. */
  readonly host = `${PEER_V4}.1`
  readonly ways: readonly Way[]
  readonly #namespace = `mh-${process.pid}-p`
  readonly #link = `mh-${process.pid}-c`
  readonly #parts: MadeParts

  /** One way from each of these addresses. @throws Error with what `ip` says; nothing is left of what could be made */
  constructor(from: readonly string[]) {
    this.under = ['ip', 'netns', 'exec', this.#namespace]
    this.ways = from.map((address, i) => ({
      from: address,
      to: address.includes(':') ? `${PEER_V6}${(i + 1).toString(16)}` : `${PEER_V4}.${i + 1}`,
    }))
    this.#parts = new MadeParts(
      [
        ['link', 'del', this.#link],
        ['netns', 'del', this.#namespace],
      ],
      () => this.#make(),
    )
  }

  /** Safe to call twice. */
  remove(): void {
    this.#parts.remove()
  }

  #make(): void {
    const [ns, link] = [this.#namespace, this.#link]
    ip('netns', 'add', ns)
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'out', 'netns', ns)
    ip('-n', ns, 'link', 'set', 'lo', 'up')
    ip('-n', ns, 'link', 'set', 'out', 'up')
    ip('link', 'set', link, 'up')
    for (const { from, to } of this.ways) {
      const isV6 = from.includes(':')
      const whole = isV6 ? '128' : '32'
      const noWait = isV6 ? ['nodad'] : []
      ip('addr', 'add', `${from}/${whole}`, 'dev', link, ...noWait)
      ip('-n', ns, 'addr', 'add', `${to}/${whole}`, 'dev', 'out', ...noWait)
      ip('-n', ns, 'route', 'add', `${from}/${whole}`, 'dev', 'out')
      ip('route', 'add', `${to}/${whole}`, 'dev', link, 'src', from)
    }
  }
}
