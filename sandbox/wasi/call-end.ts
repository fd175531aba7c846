import type { CallContext, Calls } from './calls.js'
import { ERRNO, refuse } from './errno.js'
import { Stop } from './stop.js'

/** The end of the program, signals (none) and sockets (none). */
export function endCalls({ descriptors }: CallContext): Calls {
  /** There are no sockets, so an open descriptor is never one. */
  const noSocket = (fd: number): never => {
    descriptors.get(fd)
    return refuse(ERRNO.notsock)
  }
  return {
    proc_exit(code: number) {
      throw new Stop({ type: 'exit', exitCode: code | 0 })
    },
    proc_raise: () => refuse(ERRNO.notsup),
    sock_accept: noSocket,
    sock_recv: noSocket,
    sock_send: noSocket,
    sock_shutdown: noSocket,
  }
}
