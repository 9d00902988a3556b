import type { Fetcher } from '../fetcher.ts'

/**
 * The fetcher of a crawl in this process. It is opened for the first page, closed when no app holds it any more, and may be opened again.
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
    // A downloader belongs to the crawl's spec and may be used again, so the old fetcher must be closed before a new one opens.
    const opening = this.#closing.then(() => this.#open())
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined
    })
    return (this.#opening = opening)
  }

  /** Keeps the fetcher open. @returns a function that ends this; the last one that is called closes the fetcher */
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
