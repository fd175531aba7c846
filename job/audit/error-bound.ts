/**
 * Upper bound, at 95 %, of the share of wrong units when `wrong` of `sampled` random ones were: 3 / s for none of s (the
 * "rule of three", Hanley and Lippman-Hand 1983), and for more the mean of the Poisson distribution that gives as few or fewer
 * with a chance of 5 %. Of `rest`, the units that were there to be drawn and were not, no more than all can be wrong: 0 when
 * all were replayed and none was wrong. 1 when nothing is known.
 */
export function errorBound(sampled: number, wrong: number, rest?: number): number {
  if (rest === 0 && wrong === 0) return 0
  if (sampled === 0) return 1
  const bound = poissonBound(sampled, wrong)
  return rest === undefined ? bound : Math.min(bound, (rest + wrong) / (rest + sampled))
}

function poissonBound(sampled: number, wrong: number): number {
  if (wrong === 0) return Math.min(1, 3 / sampled)
  let low = wrong
  let high = 2 * wrong + 10
  for (let i = 0; i < 50; i++) {
    const mean = (low + high) / 2
    let term = Math.exp(-mean)
    let atMost = term
    for (let k = 1; k <= wrong; k++) {
      term *= mean / k
      atMost += term
    }
    if (atMost > 0.05) low = mean
    else high = mean
  }
  return Math.min(1, high / sampled)
}
