/**
 * Traps for what would make a run depend on the machine: while an event runs, the real clock, real timers and real
 * randomness throw. Code outside events (a test's own deadline, progress output) is left alone.
 */
export function installGuard(inEvent: () => boolean): () => void {
  const real = {
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
    dateNow: Date.now,
    mathRandom: Math.random,
    signalTimeout: AbortSignal.timeout,
    performanceNow: performance.now,
  }
  const trap = <F extends object>(name: string, original: F): F =>
    new Proxy(original, {
      apply(target, self, args) {
        if (inEvent())
          throw new Error(`${name} inside the simulation: use the clock and randomness that were handed in`)
        return Reflect.apply(target as unknown as (...args: unknown[]) => unknown, self, args)
      },
    })
  globalThis.setTimeout = trap('setTimeout', real.setTimeout)
  globalThis.setInterval = trap('setInterval', real.setInterval)
  globalThis.setImmediate = trap('setImmediate', real.setImmediate)
  Date.now = trap('Date.now', real.dateNow)
  Math.random = trap('Math.random', real.mathRandom)
  AbortSignal.timeout = trap('AbortSignal.timeout', real.signalTimeout)
  performance.now = trap('performance.now', real.performanceNow)
  return () => {
    globalThis.setTimeout = real.setTimeout
    globalThis.setInterval = real.setInterval
    globalThis.setImmediate = real.setImmediate
    Date.now = real.dateNow
    Math.random = real.mathRandom
    AbortSignal.timeout = real.signalTimeout
    performance.now = real.performanceNow
  }
}
