import { monitorEventLoopDelay } from 'node:perf_hooks'

/** If turns of the event loop begin more than this late on average, in milliseconds, the loop is late. */
const LATE_MS = 100
/** If the average delay is below this, in milliseconds, the process may run more items again. */
const IN_TIME_MS = 50
const RESOLUTION_MS = 20
const LEAST = 1 / 8
const SLOW_DOWN = 0.7
const SPEED_UP = 0.05
const NS_PER_MS = 1_000_000

type LoopHistogram = ReturnType<typeof monitorEventLoopDelay>

/** Limits how many items a process runs at the same time while its event loop is late. */
export class LoopPressure {
  readonly #read: () => number
  readonly #histogram: LoopHistogram | undefined
  #share = 1
  #isLate = false

  /** @param read returns the average delay of the event loop since the last call, in milliseconds; default: measures it */
  constructor(read?: () => number) {
    if (read) this.#read = read
    else {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      this.#histogram = histogram
      this.#read = () => meanOf(histogram)
    }
  }

  /** The share of its slots that the process may use, from 1/8 to 1. */
  get share(): number {
    return this.#share
  }

  /** Whether the event loop was late at the last call to `look`. */
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

/** Returns the next share. It falls fast and grows slowly to avoid oscillation. Pure. */
export function nextShare(share: number, delayMs: number): number {
  if (delayMs > LATE_MS) return Math.max(LEAST, share * SLOW_DOWN)
  return delayMs < IN_TIME_MS ? Math.min(1, share + SPEED_UP) : share
}

function meanOf(histogram: LoopHistogram): number {
  const { mean } = histogram
  histogram.reset()
  // Each value of the histogram includes the timer's interval, which is subtracted here. Without values, the mean is NaN.
  return Number.isNaN(mean) ? 0 : Math.max(0, mean / NS_PER_MS - RESOLUTION_MS)
}
