const LARGEST = 5_000
/** The size of the first page on SQLite, which runs in this process. A page must not block the event loop for long. */
const FIRST_LOCAL = 500
const SLOW_MS = 30
const FAST_MS = 10

/** How many windows a proof reads at a time. On SQLite, this depends on how long the last page took. */
export class PageSize {
  rows: number
  readonly #isLocal: boolean

  constructor(isLocal: boolean) {
    this.#isLocal = isLocal
    this.rows = isLocal ? FIRST_LOCAL : LARGEST
  }

  adapt(tookMs: number): void {
    if (!this.#isLocal) return
    if (tookMs > SLOW_MS) this.rows = Math.max(1, Math.floor(this.rows / 2))
    else if (tookMs < FAST_MS) this.rows = Math.min(LARGEST, this.rows * 2)
  }
}
