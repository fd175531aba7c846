/** What a worker is doing, for its status line. */
export interface WorkerNow {
  readonly computed: number
  readonly acknowledged: number
  readonly agreed: number
  readonly disagreed: number
  /** Why an owner had no work, most recently; empty: none said so. */
  readonly idleReason: string
  readonly held: number
  readonly unsettled: number
  readonly owners: number
  readonly running: number
  /** Fuel of computed units. */
  readonly fuel: bigint
}

/** Counts since the process started. */
export class WorkerTally {
  #computed = 0
  #acknowledged = 0
  #agreed = 0
  #disagreed = 0
  #idleReason = ''
  #fuel = 0n

  computed(units: number, fuel: bigint): void {
    this.#computed += units
    this.#fuel += fuel
    this.#idleReason = ''
  }

  acknowledged(reports: number): void {
    this.#acknowledged += reports
  }

  settled(agreed: number, disagreed: number): void {
    this.#agreed += agreed
    this.#disagreed += disagreed
  }

  idle(reason: string): void {
    this.#idleReason = reason
  }

  snapshot(): Pick<WorkerNow, 'computed' | 'acknowledged' | 'agreed' | 'disagreed' | 'idleReason' | 'fuel'> {
    return {
      computed: this.#computed,
      acknowledged: this.#acknowledged,
      agreed: this.#agreed,
      disagreed: this.#disagreed,
      idleReason: this.#idleReason,
      fuel: this.#fuel,
    }
  }
}
