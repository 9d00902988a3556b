import type { Fetcher } from '../fetcher.ts'

/** What a crawl loads with in this process. Opened with its first page, and closed when nobody holds it any more. It may then open again. */
export class OpenFetcher {
  readonly #open: () => Promise<Fetcher>
  #opening: Promise<Fetcher> | undefined
  #closing: Promise<void> = Promise.resolve()
  #holders = 0

  constructor(open: () => Promise<Fetcher>) {
    this.#open = open
  }

  /** A failed opening is tried again with the next page. */
  get(): Promise<Fetcher> {
    if (this.#opening) return this.#opening
    // What is being closed may be what opens again: a downloader belongs to the crawl's spec.
    const opening = this.#closing.then(() => this.#open())
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined
    })
    return (this.#opening = opening)
  }

  /** @returns ends the hold; the last one closes */
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
