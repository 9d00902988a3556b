import { LRUCache } from 'lru-cache'

/** A value in this process. All times are measured with the monotonic clock. */
export interface Kept<V> {
  readonly value: V
  readonly version: number
  /** The bytes of the encoded value. */
  readonly bytes: number
  /** When the value becomes stale. */
  readonly freshUntil: number
  /** When the value expires. */
  readonly goneUntil: number
  /** When the shared level must be asked again. */
  readonly checkAt: number
  /** No refresh begins before this time, because the last refresh has failed. */
  refreshAt: number
}

/** The approximate memory of a value in bytes, without its content and its key. */
const FRAME_BYTES = 200

/** The values of a cache in this process. When the memory is full, the least recently used values are removed first. */
export class Memory<V> {
  readonly #values: LRUCache<string, Kept<V>> | undefined

  /** @param maxBytes 0: no value is kept */
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

  /** Removes the values whose keys begin with the prefix. @returns how many of them had not expired */
  clear(prefix: string, now: number): number {
    let count = 0
    for (const [key, { goneUntil }] of [...(this.#values?.entries() ?? [])]) {
      if (key.startsWith(prefix) && this.delete(key) && goneUntil > now) count += 1
    }
    return count
  }
}
