import * as assert from 'uvu/assert'

/**
 * Records the effects of a core for a test to read. What a test does not read makes {@link done} fail, so that no effect
 * slips by unnoticed; kinds that a test does not speak about are named once with {@link ignore}.
 */
export class EffectLog<Effect extends { readonly type: string }> {
  #unread: Effect[] = []
  readonly #ignored = new Set<string>()

  ignore(...types: Effect['type'][]): void {
    for (const type of types) this.#ignored.add(type)
    this.#unread = this.#unread.filter(({ type }) => !this.#ignored.has(type))
  }

  /** Records kinds again that were ignored. */
  heed(...types: Effect['type'][]): void {
    for (const type of types) this.#ignored.delete(type)
  }

  push(effects: readonly Effect[]): void {
    for (const effect of effects) if (!this.#ignored.has(effect.type)) this.#unread.push(effect)
  }

  /** Reads all effects of one kind, oldest first. */
  take<Type extends Effect['type']>(type: Type): Extract<Effect, { readonly type: Type }>[] {
    const isWanted = (effect: Effect): effect is Extract<Effect, { readonly type: Type }> => effect.type === type
    const taken = this.#unread.filter(isWanted)
    this.#unread = this.#unread.filter((effect) => !isWanted(effect))
    return taken
  }

  /** Reads the one effect of a kind; fails unless there is exactly one. */
  one<Type extends Effect['type']>(type: Type): Extract<Effect, { readonly type: Type }> {
    const taken = this.take(type)
    assert.is(taken.length, 1, `${taken.length} effects '${type}', expected one`)
    return taken[0]!
  }

  /** Reads everything, whatever it is. */
  drain(): readonly Effect[] {
    const all = this.#unread
    this.#unread = []
    return all
  }

  done(): void {
    assert.equal(
      this.#unread.map(({ type }) => type),
      [],
      'effects that the test has not read',
    )
  }
}
