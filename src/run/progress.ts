import { formatMs } from '../time/duration.ts'

/** The progress that a run's handler last reported with `ctx.progress`. */
export interface Progress {
  /** The attempt that reported the progress. */
  readonly attempt: number
  readonly done: number
  readonly total: number | undefined
  /** The message of the report: at most 500 characters, without secrets. */
  readonly message: string | undefined
  /**
   * How much `done` increases per second, smoothed over about 20 seconds. Undefined until two reports are far enough apart, and while the
   * last report of a running run is too old.
   */
  readonly ratePerSecond: number | undefined
  /**
   * Milliseconds until `total` is reached at this rate. Undefined if the run is not running, or if `total` is unknown or the rate is
   * unknown or 0.
   */
  readonly etaMs: number | undefined
  /** When the report was stored, on the database's clock. */
  readonly updatedAt: Date
}

export interface StoredProgress {
  readonly runId: number
  readonly fence: number
  readonly attempt: number
  readonly done: number
  readonly total: number | undefined
  readonly message: string | undefined
  readonly rate: number | undefined
  readonly updatedAt: Date
  /** How old the report was when the row was read, in milliseconds. */
  readonly ageMs: number
}

/** The speed of one attempt, from its reports. */
export interface Pace {
  /** The report from which the next speed is measured; `atMs` is on a monotonic clock. */
  readonly done: number
  readonly atMs: number
  /** The weighted sum of all measured speeds, in units of `done` per second. */
  readonly sum: number
  /** The sum of the weights of all speeds. */
  readonly weight: number
}

/** How fast older reports lose weight: after this time, about a third of their weight is left. */
const SMOOTHING_MS = 20_000
/** Reports within this time are measured together, because a speed between two calls in the same turn would mean nothing. */
const MIN_SPAN_MS = 200
/**
 * How long the last speed stays valid: this long, or three times as long as one unit of `done` takes at that speed, whichever is longer.
 */
const MIN_STALE_MS = 30_000
const STALE_PAUSES = 3

/** Returns the pace after another report. If the count has decreased, a new phase with a new pace begins. Pure. */
export function paceAfter(before: Pace | undefined, done: number, atMs: number): Pace {
  if (!before || done < before.done) return { done, atMs, sum: 0, weight: 0 }
  const spanMs = atMs - before.atMs
  if (spanMs < MIN_SPAN_MS) return before
  const share = 1 - Math.exp(-spanMs / SMOOTHING_MS)
  const speed = ((done - before.done) / spanMs) * 1_000
  return {
    ...{ done, atMs },
    sum: before.sum * (1 - share) + speed * share,
    weight: before.weight * (1 - share) + share,
  }
}

/** Returns how much `done` increases per second; undefined until there are two reports that are far enough apart. Pure. */
export function rateOf({ sum, weight }: Pace): number | undefined {
  const rate = weight > 0 ? sum / weight : Infinity
  return Number.isFinite(rate) ? rate : undefined
}

/** Returns the progress to show for a run. Undefined if there is no report, or if it belongs to an earlier claim. Pure. */
export function progressOf(
  run: { readonly fence: number; readonly state: string },
  stored: StoredProgress | undefined,
): Progress | undefined {
  if (!stored || stored.fence !== run.fence) return undefined
  const { attempt, done, total, message, rate, ageMs, updatedAt } = stored
  const isRunning = run.state === 'running'
  const isStale = rate !== undefined && ageMs > Math.max(MIN_STALE_MS, (STALE_PAUSES * 1_000) / rate)
  const ratePerSecond = isRunning && isStale ? undefined : rate
  return {
    ...{ attempt, done, total, message, ratePerSecond, updatedAt },
    etaMs: isRunning ? etaOf(done, total, ratePerSecond, ageMs) : undefined,
  }
}

function etaOf(done: number, total: number | undefined, rate: number | undefined, ageMs: number): number | undefined {
  if (total === undefined || rate === undefined || rate <= 0) return undefined
  const leftMs = (Math.max(0, total - done) / rate) * 1_000 - ageMs
  return Number.isSafeInteger(Math.round(leftMs)) ? Math.max(0, Math.round(leftMs)) : undefined
}

let formats: { readonly number: Intl.NumberFormat; readonly small: Intl.NumberFormat } | undefined

/** Creates the formats when they are needed. Creating the first one takes 10 ms, and otherwise every command would wait for it. */
function numberFormats(): NonNullable<typeof formats> {
  return (formats ??= {
    number: new Intl.NumberFormat('en', { maximumFractionDigits: 1 }),
    small: new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }),
  })
}

/** A number of this size or larger is shown with an exponent, because its digits would fill the line. */
const MAX_PLAIN = 1e15
const MIN_SHOWN = 1e-6

/** Formats progress for people: `12,000 of 50,000 (24 %), 1,150/s, 33 s left`. Pure. */
export function progressText({
  done,
  total,
  ratePerSecond,
  etaMs,
}: Pick<Progress, 'done' | 'total' | 'ratePerSecond' | 'etaMs'>): string {
  const parts = [
    total === undefined ? `${amount(done)} done` : `${amount(done)} of ${amount(total)}${percent(done, total)}`,
    ...(ratePerSecond === undefined ? [] : [`${amount(ratePerSecond)}/s`]),
    ...(etaMs === undefined ? [] : [`${leftText(etaMs)} left`]),
  ]
  return parts.join(', ')
}

/** Formats the share, at most 100 %: totals are often estimates, and a larger share would look like a bug. */
function percent(done: number, total: number): string {
  return total > 0 ? ` (${Math.min(100, Math.floor((done / total) * 100))} %)` : ''
}

function amount(value: number): string {
  if (value < MIN_SHOWN) return '0'
  if (value >= MAX_PLAIN) return value.toExponential(2)
  const { number, small } = numberFormats()
  return value >= 100 ? number.format(Math.round(value)) : value < 1 ? small.format(value) : number.format(value)
}

function leftText(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1_000)} s` : formatMs(ms)
}
