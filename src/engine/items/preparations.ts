import type { KindPolicy } from '../../job/items/item-policy.ts'

/** What kinds of items prepare in this process before their first item. */
export class Preparations {
  readonly #known = new WeakMap<KindPolicy, Promise<void> | 'done'>()

  /** Undefined if the kind is ready. Never rejects: after a failure, items begin without it, and the next ones try again. */
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
      // A turn later, so that a call that fails at once does not leave its promise behind.
      await Promise.resolve().then(prepare)
      this.#known.set(kind, 'done')
    } catch {
      this.#known.delete(kind)
    }
  }
}
