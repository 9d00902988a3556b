import { LRUCache } from 'lru-cache'
import { toError } from '../errors.ts'

/** Errors of failed loads. Each is returned for some time, so that the load is not repeated immediately. */
export class Negatives {
  readonly #errors: LRUCache<string, { readonly error: Error; readonly until: number }> | undefined
  readonly #keepMs: number

  /** @param keepMs 0: no error is kept */
  constructor(max: number, keepMs: number) {
    this.#keepMs = keepMs
    this.#errors = keepMs === 0 ? undefined : new LRUCache({ max })
  }

  get(key: string, now: number): Error | undefined {
    const known = this.#errors?.get(key)
    return known && known.until > now ? known.error : undefined
  }

  add(key: string, thrown: unknown, now: number): void {
    this.#errors?.set(key, { error: toError(thrown), until: now + this.#keepMs })
  }

  delete(key: string): void {
    this.#errors?.delete(key)
  }

  clear(prefix: string): void {
    for (const key of [...(this.#errors?.keys() ?? [])]) if (key.startsWith(prefix)) this.#errors?.delete(key)
  }
}
