import { engine } from '../../../../sandbox/engine.js'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import { WasiHost } from '../../../../sandbox/wasi/host.js'
import { type LayoutInput, type LayoutOutput, openLayout } from '../../../../sandbox/wasi/layout.js'

/** Descriptors that every program starts with. */
export const STDIN = 0
export const STDOUT = 1
export const STDERR = 2
export const ROOT = 3
export const IN = 4
export const OUT = 5
export const TMP = 6

/** `oflags`. */
export const CREATE = 1
export const DIRECTORY = 2
export const EXCLUSIVE = 4
export const TRUNCATE = 8
/** All rights that there are, as programs that do not care ask for them. */
export const ALL_RIGHTS = (1n << 30n) - 1n
/** What wasi-libc asks for with O_RDONLY, roughly. */
export const READ_RIGHTS = ALL_RIGHTS & ~((1n << 6n) | (1n << 8n) | (1n << 22n))

/** Where the fixture puts what a call reads (paths, data) and what it answers. */
const FIRST = 0x100
const SECOND = 0x2000
export const ANSWER = 0x4000
export const DATA = 0x8000
export const MEMORY_BYTES = 0x20000

/** What may be chosen; the rest is small and empty. */
export interface FixtureOptions extends Partial<LayoutInput> {
  readonly args?: readonly string[]
  readonly environment?: ReadonlyMap<string, string>
}

/** A host with a memory of its own, called as a program would, without a program. */
export class Guest {
  readonly host: WasiHost
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly memory: InstanceType<typeof engine.Memory>
  /** Fuel charged so far. */
  fuel = 0
  readonly #collect: () => LayoutOutput

  constructor(options: FixtureOptions = {}) {
    this.host = new WasiHost({
      args: options.args ?? ['prog'],
      environment: options.environment ?? new Map(),
      seed: 1n,
      unit: 2,
      spend: (fuel) => {
        this.fuel += fuel
      },
    })
    this.#collect = openLayout(this.host, {
      stdin: new Uint8Array(0),
      files: new Map(),
      outputBytes: 1_000,
      stderrBytes: 10,
      temporaryBytes: 1_000_000,
      ...options,
    })
    this.memory = new engine.Memory({ initial: MEMORY_BYTES / 65_536 })
    this.bytes = new Uint8Array(this.memory.buffer)
    this.view = new DataView(this.memory.buffer)
    this.host.attach(this.memory)
  }

  /** Calls a function of preview 1; gives its error number. */
  call(name: string, ...args: (number | bigint)[]): number {
    const call = this.host.imports[name] as unknown as (...args: (number | bigint)[]) => number
    return call(...args)
  }

  /** As {@link call}, for calls that must succeed; gives the 32-bit number that the call wrote at its last argument. */
  answer(name: string, ...args: (number | bigint)[]): number {
    const errno = this.call(name, ...args, ANSWER)
    if (errno !== ERRNO.success) throw new Error(`${name} gave error ${errno}`)
    return this.view.getUint32(ANSWER, true)
  }

  /** Pointer and length of a text in memory. */
  text(text: string, at = FIRST): [pointer: number, length: number] {
    const encoded = new TextEncoder().encode(text)
    this.bytes.set(encoded, at)
    return [at, encoded.length]
  }

  open(folder: number, path: string, flags = 0, rights = ALL_RIGHTS, fdFlags = 0): number {
    return this.answer('path_open', folder, 1, ...this.text(path), flags, rights, rights, fdFlags)
  }

  /** Error number of opening `path`. */
  openError(folder: number, path: string, flags = 0, rights = ALL_RIGHTS): number {
    return this.call('path_open', folder, 1, ...this.text(path), flags, rights, rights, 0, ANSWER)
  }

  /** Error number of a call with one path. */
  path(name: string, folder: number, path: string): number {
    return this.call(name, folder, ...this.text(path))
  }

  rename(folder: number, from: string, toFolder: number, to: string): number {
    return this.call('path_rename', folder, ...this.text(from), toFolder, ...this.text(to, SECOND))
  }

  symlink(target: string, folder: number, path: string): number {
    return this.call('path_symlink', ...this.text(target), folder, ...this.text(path, SECOND))
  }

  link(folder: number, from: string, toFolder: number, to: string): number {
    return this.call('path_link', folder, 0, ...this.text(from), toFolder, ...this.text(to, SECOND))
  }

  /** Error number of writing `bytes`. */
  write(fd: number, bytes: Uint8Array | string): number {
    return this.call('fd_write', fd, ...this.#piece(bytes), ANSWER)
  }

  pwrite(fd: number, bytes: Uint8Array | string, offset: bigint): number {
    return this.call('fd_pwrite', fd, ...this.#piece(bytes), offset, ANSWER)
  }

  /** Text read from a descriptor, at most `length` bytes of it. */
  read(fd: number, length = 1_000): string {
    const count = this.answer('fd_read', fd, ...this.#room(length))
    return new TextDecoder().decode(this.bytes.slice(DATA, DATA + count))
  }

  /** Content of a file. */
  content(folder: number, path: string): string {
    const fd = this.open(folder, path, 0, READ_RIGHTS)
    const text = this.read(fd)
    this.call('fd_close', fd)
    return text
  }

  /** Creates a file with `text`. */
  create(folder: number, path: string, text: string): void {
    const fd = this.open(folder, path, CREATE | TRUNCATE)
    const errno = this.write(fd, text)
    if (errno !== ERRNO.success) throw new Error(`writing ${path} gave error ${errno}`)
    this.call('fd_close', fd)
  }

  /** Names that one listing gives, in pieces of `size` bytes. */
  list(fd: number, size = 4_096): string[] {
    const names: string[] = []
    let cookie = 0n
    for (;;) {
      const used = this.answer('fd_readdir', fd, DATA, size, cookie)
      let at = DATA
      while (at + 24 <= DATA + used) {
        const length = this.view.getUint32(at + 16, true)
        if (at + 24 + length > DATA + used) break
        names.push(new TextDecoder().decode(this.bytes.slice(at + 24, at + 24 + length)))
        cookie = this.view.getBigUint64(at, true)
        at += 24 + length
      }
      if (used < size) return names
    }
  }

  /** Inode, type and size of a path. */
  stat(folder: number, path: string): { inode: bigint; type: number; links: bigint; size: bigint; modifiedAt: bigint } {
    this.#succeed(this.call('path_filestat_get', folder, 0, ...this.text(path), ANSWER), path)
    return {
      inode: this.view.getBigUint64(ANSWER + 8, true),
      type: this.view.getUint8(ANSWER + 16),
      links: this.view.getBigUint64(ANSWER + 24, true),
      size: this.view.getBigUint64(ANSWER + 32, true),
      modifiedAt: this.view.getBigUint64(ANSWER + 48, true),
    }
  }

  /** Time on a clock. */
  time(clock: number): bigint {
    this.#succeed(this.call('clock_time_get', clock, 0n, ANSWER), 'clock')
    return this.view.getBigUint64(ANSWER, true)
  }

  /** What the program has left so far. */
  left(): { stdout: string; stderr: string; stderrLength: number; files: Record<string, string> } {
    const { stdout, stderr, stderrLength, files } = this.#collect()
    const decoder = new TextDecoder()
    return {
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
      stderrLength,
      files: Object.fromEntries([...files].map(([name, bytes]) => [name, decoder.decode(bytes)])),
    }
  }

  #succeed(errno: number, what: string): void {
    if (errno !== ERRNO.success) throw new Error(`${what} gave error ${errno}`)
  }

  #piece(bytes: Uint8Array | string): [pointer: number, count: number] {
    const encoded = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    this.bytes.set(encoded, DATA)
    return this.#room(encoded.length)
  }

  #room(length: number): [pointer: number, count: number] {
    this.view.setUint32(FIRST, DATA, true)
    this.view.setUint32(FIRST + 4, length, true)
    return [FIRST, 1]
  }
}
