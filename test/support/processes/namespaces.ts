import { execFileSync } from 'node:child_process'

/** Side A, side B and the link to this machine are `.1`, `.2` and `.3` of it. Private (RFC 1918). */
const NET = '10.213'
const COMMAND_MS = 10_000

/** One side of a network that can be split. */
export interface Side {
  readonly name: string
  /** Address of everything that runs there. */
  readonly host: string
  /** Words before a command line that have it run there. */
  readonly under: readonly string[]
}

/**
 * Two network namespaces with a router between them that is a third one, and a link from the router to this process (Linux,
 * `ip` of iproute2, the right to make them). This process is always on the first side: {@link cut} parts the second from
 * both. Nothing of it is left after {@link remove}, which works at the exit of the process, too.
 */
export class SplitNetwork {
  readonly sides: readonly [Side, Side]
  readonly #router: string
  readonly #here: string
  readonly #parts: MadeParts
  #isCut = false

  /** @throws Error with what `ip` says when namespaces cannot be made; nothing is left of those that could. */
  constructor() {
    const name = (part: string) => `mh-${process.pid}-${part}`
    const side = (part: string, number: number): Side => {
      const [ns, host] = [name(part), `${NET}.${number}.2`]
      return { name: part, host, under: ['ip', 'netns', 'exec', ns] }
    }
    this.sides = [side('a', 1), side('b', 2)]
    this.#router = name('r')
    this.#here = name('h')
    const names = [...this.sides.map(({ under }) => under.at(-1)!), this.#router]
    this.#parts = new MadeParts([['link', 'del', this.#here], ...names.map((one) => ['netns', 'del', one])], () =>
      this.#make(),
    )
  }

  /** From here on no packet passes between the sides, and nobody is told: what is sent is lost without an answer. */
  cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    for (const rule of this.#rules()) ip('-n', this.#router, 'rule', 'add', ...rule)
  }

  heal(): void {
    if (!this.#isCut) return
    for (const rule of this.#rules()) ip('-n', this.#router, 'rule', 'del', ...rule)
    this.#isCut = false
  }

  /** Safe to call twice. What still runs on a side keeps it, without a name, until it ends. */
  remove(): void {
    this.#parts.remove()
  }

  #make(): void {
    ip('netns', 'add', this.#router)
    for (const [i, { host, under }] of this.sides.entries()) {
      const ns = under.at(-1)!
      const gateway = `${NET}.${i + 1}.1`
      ip('netns', 'add', ns)
      ip('-n', this.#router, 'link', 'add', `side${i}`, 'type', 'veth', 'peer', 'name', 'out', 'netns', ns)
      ip('-n', this.#router, 'addr', 'add', `${gateway}/24`, 'dev', `side${i}`)
      ip('-n', this.#router, 'link', 'set', `side${i}`, 'up')
      ip('-n', ns, 'addr', 'add', `${host}/24`, 'dev', 'out')
      ip('-n', ns, 'link', 'set', 'out', 'up')
      ip('-n', ns, 'link', 'set', 'lo', 'up')
      ip('-n', ns, 'route', 'add', 'default', 'via', gateway)
    }
    ip('link', 'add', this.#here, 'type', 'veth', 'peer', 'name', 'here', 'netns', this.#router)
    ip('-n', this.#router, 'addr', 'add', `${NET}.3.1/24`, 'dev', 'here')
    ip('-n', this.#router, 'link', 'set', 'here', 'up')
    ip('addr', 'add', `${NET}.3.2/24`, 'dev', this.#here)
    ip('link', 'set', this.#here, 'up')
    for (const number of [1, 2]) ip('route', 'add', `${NET}.${number}.0/24`, 'via', `${NET}.3.1`)
    ip('netns', 'exec', this.#router, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  }

  /** Blackholes drop what is passed on without a word; a link that is down would be noticed at once. */
  #rules(): readonly (readonly string[])[] {
    return [
      ['iif', 'side1', 'blackhole'],
      ['to', `${NET}.2.0/24`, 'blackhole'],
    ]
  }
}

/** What `ip` was told to make, taken away together: when asked, at the exit of the process, or when not all could be made. */
export class MadeParts {
  readonly #undo: readonly (readonly string[])[]
  #removed = false
  readonly #onExit = () => this.remove()

  /** `undo`: what `ip` is told to take away, in order. @throws what `make` does; nothing is left then */
  constructor(undo: readonly (readonly string[])[], make: () => void) {
    this.#undo = undo
    process.once('exit', this.#onExit)
    try {
      make()
    } catch (error) {
      this.remove()
      throw error
    }
  }

  /** Safe to call twice. */
  remove(): void {
    if (this.#removed) return
    this.#removed = true
    process.off('exit', this.#onExit)
    for (const words of this.#undo) {
      try {
        ip(...words)
      } catch {
        // It was never made.
      }
    }
  }
}

/** Runs `ip` of iproute2. @throws Error with what it says */
export function ip(...words: readonly string[]): void {
  try {
    execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'], timeout: COMMAND_MS })
  } catch (error) {
    const stderr = (error as { stderr?: Buffer }).stderr?.toString().trim()
    throw new Error(`ip ${words.join(' ')}: ${stderr || (error as Error).message}`)
  }
}
