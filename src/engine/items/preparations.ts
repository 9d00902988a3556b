import type { KindPolicy } from '../../job/items/item-policy.ts'

/** Calls the function `prepare` of each kind of item once, before the kind's first item runs in this process. */
export class Preparations {
  readonly #known = new WeakMap<KindPolicy, Promise<void> | 'done'>()

  /**
   * Returns undefined if the kind is ready, otherwise a promise that never rejects. If preparing fails, the waiting items begin anyway, and
   * the next item tries again.
   */
  of(kind: KindPolicy): Promise<void> | undefined {
    const { prepare } = kind.kind
    if (!prepare) return undefined
    const known = this.#known.get(kind)
    if (known) return known === 'done' ? undefined : known
    const preparing = this.#prepare(kind, prepare)
    this.#known.set(kind, preparing)
    return preparing
  }

  async #prepare(kind: KindPolicy, prepare: () => unknown): Promise<void> {
    try {
      // `prepare` is called in a later turn. If it threw immediately, the promise would be deleted before it is stored.
      await Promise.resolve().then(prepare)
      this.#known.set(kind, 'done')
    } catch {
      this.#known.delete(kind)
    }
  }
}
