import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The event loop is late if it turns this much later than it should, on average; and in time again below the second limit. */
const LATE_MS = 100
const IN_TIME_MS = 50
const RESOLUTION_MS = 20
const LEAST = 1 / 8
const SLOW_DOWN = 0.7
const SPEED_UP = 0.05
const NS_PER_MS = 1_000_000

type LoopHistogram = ReturnType<typeof monitorEventLoopDelay>

/** How many of its items a process may run while its event loop is late, looked at once a second. */
export class LoopPressure {
  readonly #read: () => number
  readonly #histogram: LoopHistogram | undefined
  #share = 1
  #isLate = false

  /** @param read how late the loop was on average since the last call, in milliseconds. Default: measured */
  constructor(read?: () => number) {
    if (read) this.#read = read
    else {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      this.#histogram = histogram
      this.#read = () => meanOf(histogram)
    }
  }

  /** From 1/8 to 1. */
  get share(): number {
    return this.#share
  }

  /** Whether it was late when looked at last. */
  get isLate(): boolean {
    return this.#isLate
  }

  start(): void {
    this.#histogram?.enable()
  }

  stop(): void {
    this.#histogram?.disable()
    this.#share = 1
    this.#isLate = false
  }

  look(): void {
    const delayMs = this.#read()
    this.#isLate = delayMs > LATE_MS
    this.#share = nextShare(this.#share, delayMs)
  }
}

/** The share after a look. Falls fast and grows slowly, so that it settles. Pure. */
export function nextShare(share: number, delayMs: number): number {
  if (delayMs > LATE_MS) return Math.max(LEAST, share * SLOW_DOWN)
  return delayMs < IN_TIME_MS ? Math.min(1, share + SPEED_UP) : share
}

function meanOf(histogram: LoopHistogram): number {
  const { mean } = histogram
  histogram.reset()
  // Each value has the interval in it. Without any, the mean is no number.
  return Number.isNaN(mean) ? 0 : Math.max(0, mean / NS_PER_MS - RESOLUTION_MS)
}
