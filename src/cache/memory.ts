import { LRUCache } from 'lru-cache'

/** A value in this process. Times are those of the monotonic clock. */
export interface Kept<V> {
  readonly value: V
  readonly version: number
  /** Of the encoded value. */
  readonly bytes: number
  /** Stale from then on. */
  readonly freshUntil: number
  /** Gone from then on. */
  readonly goneUntil: number
  /** From then on the shared level is asked again. */
  readonly checkAt: number
  /** No refresh before this: the last one has failed. */
  refreshAt: number
}

/** What a value takes besides its bytes and its key, about. */
const FRAME_BYTES = 200

/** The values of a cache in this process; the least recently used ones leave first. */
export class Memory<V> {
  readonly #values: LRUCache<string, Kept<V>> | undefined

  /** @param maxBytes 0 keeps nothing */
  constructor({ max, maxBytes }: { readonly max: number; readonly maxBytes: number }) {
    this.#values =
      maxBytes === 0
        ? undefined
        : new LRUCache({
            max,
            maxSize: maxBytes,
            sizeCalculation: ({ bytes }, key) => bytes + 2 * key.length + FRAME_BYTES,
          })
  }

  get size(): number {
    return this.#values?.size ?? 0
  }

  get bytes(): number {
    return this.#values?.calculatedSize ?? 0
  }

  get(key: string): Kept<V> | undefined {
    return this.#values?.get(key)
  }

  set(key: string, kept: Kept<V>): void {
    this.#values?.set(key, kept)
  }

  delete(key: string): boolean {
    return this.#values?.delete(key) ?? false
  }

  /** @returns how many had not been gone */
  clear(prefix: string, now: number): number {
    let count = 0
    for (const [key, { goneUntil }] of [...(this.#values?.entries() ?? [])]) {
      if (key.startsWith(prefix) && this.delete(key) && goneUntil > now) count += 1
    }
    return count
  }
}
