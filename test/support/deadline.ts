/**
 * `promise`, or a rejection that names `what` once `ms` have passed: uvu has no time limit per test, and a test that
 * waits for ever says nothing. The timer is dropped as soon as the promise settles.
 */
export function deadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/**
 * Resolves once `condition` holds, looking again every few milliseconds; rejects naming `what` after `ms`. For state that
 * no event tells about: wait for a condition, never for a duration.
 */
export async function eventually(condition: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
