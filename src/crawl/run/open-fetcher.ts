import type { Fetcher } from '../fetcher.ts'

/**
 * The fetcher of a crawl in this process. It is opened for the first page and closed when no app uses it any more. It may be opened again
 * later.
 */
export class OpenFetcher {
  readonly #open: () => Promise<Fetcher>
  #opening: Promise<Fetcher> | undefined
  #closing: Promise<void> = Promise.resolve()
  #holders = 0

  constructor(open: () => Promise<Fetcher>) {
    this.#open = open
  }

  /** Returns the fetcher, and opens it if necessary. If opening fails, the next call tries again. */
  get(): Promise<Fetcher> {
    if (this.#opening) return this.#opening
    // The old fetcher must be closed before a new one opens, because both use the same downloaders of the spec.
    const opening = this.#closing.then(() => this.#open())
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined
    })
    return (this.#opening = opening)
  }

  /**
   * Keeps the fetcher open.
   *
   * @returns a function to call when the caller no longer needs it; the last such call closes the fetcher
   */
  hold(): () => Promise<void> {
    this.#holders += 1
    let isHeld = true
    return async () => {
      if (!isHeld) return
      isHeld = false
      this.#holders -= 1
      if (this.#holders === 0) await this.#close()
    }
  }

  async #close(): Promise<void> {
    const opening = this.#opening
    if (!opening) return
    this.#opening = undefined
    const closed = closeOf(opening)
    this.#closing = closed.catch(() => {})
    await closed
  }
}

async function closeOf(opening: Promise<Fetcher>): Promise<void> {
  const [opened] = await Promise.allSettled([opening])
  if (opened.status === 'fulfilled') await opened.value.close()
}
