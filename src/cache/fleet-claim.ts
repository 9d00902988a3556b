import type { Clock } from '../clock.ts'
import type { WatchedLevel } from './watched-level.ts'

/** How long a claim remains valid if its process dies. */
const CLAIM_MS = 10_000
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

/** The right of one node to load a key, while other nodes wait for the value. */
export class FleetClaim {
  readonly #level: WatchedLevel
  readonly #parts: { readonly cache: string; readonly key: string; readonly clock: Clock }
  readonly #owner = crypto.randomUUID()
  readonly #over = new AbortController()
  /** The renewals of the claim; undefined until the claim has been taken. */
  #renewals: Promise<void> | undefined
  #pauseMs = FIRST_PAUSE_MS

  constructor(level: WatchedLevel, parts: { readonly cache: string; readonly key: string; readonly clock: Clock }) {
    this.#level = level
    this.#parts = parts
  }

  /** Tries to take the claim. @returns `'away'` if the level does not respond, so that this node loads without a claim */
  async take(signal: AbortSignal): Promise<'taken' | 'busy' | 'away'> {
    signal.throwIfAborted()
    const claimed = await this.#claim()
    if (!claimed) return 'away'
    if (!claimed.value) return 'busy'
    this.#renewals = this.#renew()
    return 'taken'
  }

  /** Waits before the next try. @throws the reason of the signal */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#parts.clock.sleep(this.#pauseMs * (0.5 + Math.random() / 2), signal)
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 1.5)
    signal.throwIfAborted()
  }

  /** Releases the claim, so that another node can load the key. Never rejects. */
  async end(): Promise<void> {
    this.#over.abort()
    const { cache, key } = this.#parts
    if (!this.#renewals) return
    // A renewal that arrived after the release would set the claim again.
    await this.#renewals
    await this.#level.tried((level) => level.release(cache, key, this.#owner))
  }

  #claim(): Promise<{ readonly value: boolean } | undefined> {
    const { cache, key } = this.#parts
    return this.#level.tried((level) => level.claim(cache, key, this.#owner, CLAIM_MS))
  }

  /**
   * Renews the claim until it is released. Never rejects. If the claim is lost nevertheless, two nodes load the value, which does no harm.
   */
  async #renew(): Promise<void> {
    for (;;) {
      await this.#parts.clock.sleep(CLAIM_MS / 3, this.#over.signal)
      if (this.#over.signal.aborted) return
      await this.#claim()
    }
  }
}
