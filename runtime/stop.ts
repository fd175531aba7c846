import { setMaxListeners } from 'node:events'

/**
 * What stops any number of calls at once, as of a list of jobs or the streams of one reader; how many there are is bounded where
 * they are made. Of an ordinary signal Node says on standard error that eleven listeners may be a leak.
 */
export function stopOfMany(): AbortController {
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  return stop
}
