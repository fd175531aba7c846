/** One line of the output: what was measured, what it is held against, and by how much it is better (1 = equal). */
export interface Measurement {
  readonly bench: string
  readonly value: number
  readonly unit: string
  readonly bar: number
  /** Above 1: the bar is met. */
  readonly ratio: number
  readonly [detail: string]: string | number
}
