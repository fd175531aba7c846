import { setFlagsFromString } from 'node:v8'

/**
 * Has V8 optimise one function of a module at a time. It does so on threads of its own, beside those that run units, and
 * takes some hundred megabytes for a function of two megabytes: four at a time, which Node allows, made a module take
 * 1.6 GiB of the volunteer's memory, 1.3 GiB of it for long after its unit had been ended. To be called before the first
 * program is compiled. A V8 that does not know the flag says so on standard error and goes on without.
 */
export function boundCompilation(): void {
  setFlagsFromString('--wasm-num-compilation-tasks=1')
}
