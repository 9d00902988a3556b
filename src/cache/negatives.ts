import { LRUCache } from 'lru-cache'

/** Errors of loads that are returned for some time without another load. */
export class Negatives {
  readonly #errors: LRUCache<string, { readonly error: unknown; readonly until: number }> | undefined
  readonly #keepMs: number

  /** @param keepMs 0 keeps nothing */
  constructor(max: number, keepMs: number) {
    this.#keepMs = keepMs
    this.#errors = keepMs === 0 ? undefined : new LRUCache({ max })
  }

  get(key: string, now: number): unknown {
    const known = this.#errors?.get(key)
    return known && known.until > now ? known.error : undefined
  }

  add(key: string, error: unknown, now: number): void {
    this.#errors?.set(key, { error, until: now + this.#keepMs })
  }

  delete(key: string): void {
    this.#errors?.delete(key)
  }

  clear(prefix: string): void {
    for (const key of [...(this.#errors?.keys() ?? [])]) if (key.startsWith(prefix)) this.#errors?.delete(key)
  }
}
