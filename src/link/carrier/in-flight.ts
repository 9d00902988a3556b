import { Fifo } from '../../resource/fifo.ts'

/** How long bytes may wait between the two programs, in milliseconds. The transfer time of an idle connection is not included. */
const TARGET_MS = 20
const MIN_LIMIT = 65_536
const FIRST_LIMIT = 262_144
/** Small messages share a mark. Otherwise each would need one until it is confirmed: at least 32 KB at a time. */
const MARK_EACH = 4_096
/** How often the shortest transfer time is measured again, because the network path may have changed. */
const MEASURE_EACH_MS = 10_000

/** The time at which the bytes up to `until` were sent. */
interface Mark {
  readonly from: number
  until: number
  atMs: number
}

/**
 * Limits how many bytes are sent but not yet received. The buffers of sockets, proxies and kernels between two programs hold megabytes, and
 * a small message would wait behind them. So this class measures how long bytes take to reach the other end. If they
 * wait longer than {@link TARGET_MS}, it lowers the limit. Pure.
 */
export class InFlight {
  readonly #max: number
  /** The times at which bytes were sent. The last mark always includes the last byte. */
  readonly #marks = new Fifo<Mark>()
  #last: Mark | undefined
  #sent = 0
  #received = 0
  #limit = FIRST_LIMIT
  #baseMs = Infinity
  #lastBaseMs = Infinity
  #measuredAtMs: number | undefined
  /** Set while the shortest transfer time is measured: the first measured byte, and the limit before the measurement. */
  #probe: { readonly from: number; readonly limit: number } | undefined
  /**
   * The last of the bytes that were in transit when the limit was decreased. The limit is not decreased again until these bytes have
   * arrived.
   */
  #decreasedUntil = 0

  /** @param max the maximum limit, in bytes */
  constructor(max: number) {
    this.#max = max
  }

  get bytes(): number {
    return this.#sent - this.#received
  }

  get limit(): number {
    return this.#limit
  }

  sent(bytes: number, nowMs: number): void {
    const last = this.#last
    if (last && this.#sent + bytes - last.from < MARK_EACH && this.#marks.size > 0) {
      last.until = this.#sent += bytes
      last.atMs = nowMs
      return
    }
    this.#last = { from: this.#sent, until: this.#sent + bytes, atMs: nowMs }
    this.#marks.push(this.#last)
    this.#sent += bytes
  }

  /** Counts bytes that the other end has received, and measures how long they took. */
  received(bytes: number, nowMs: number): void {
    const before = this.bytes
    this.#received += bytes
    let tookMs: number | undefined
    for (let mark = this.#marks.first; mark && mark.until <= this.#received; mark = this.#marks.first) {
      tookMs = nowMs - mark.atMs
      this.#marks.shift()
    }
    if (tookMs !== undefined) this.#adapt(tookMs, bytes, before, nowMs)
  }

  #adapt(tookMs: number, bytes: number, before: number, nowMs: number): void {
    this.#measure(tookMs, nowMs)
    if (this.#probe) return
    const waitedMs = tookMs - Math.min(this.#baseMs, this.#lastBaseMs)
    if (waitedMs > TARGET_MS) {
      if (this.#received < this.#decreasedUntil) return
      this.#decreasedUntil = this.#sent
      this.#limit = Math.max(MIN_LIMIT, Math.round(this.#limit * Math.max(0.5, TARGET_MS / waitedMs)))
    } else if (before * 2 >= this.#limit) {
      // The limit grows fast while bytes need not wait, and slowly near the target.
      const growth = waitedMs * 2 < TARGET_MS ? bytes : (bytes * MIN_LIMIT) / this.#limit
      this.#limit = Math.min(this.#max, Math.round(this.#limit + growth))
    }
  }

  #measure(tookMs: number, nowMs: number): void {
    this.#baseMs = Math.min(this.#baseMs, tookMs)
    this.#measuredAtMs ??= nowMs
    if (this.#probe && this.#received > this.#probe.from) {
      this.#limit = this.#probe.limit
      this.#probe = undefined
    } else if (!this.#probe && nowMs - this.#measuredAtMs >= MEASURE_EACH_MS) {
      this.#lastBaseMs = this.#baseMs
      this.#baseMs = Infinity
      this.#measuredAtMs = nowMs
      // Only bytes that are sent with a low limit find empty buffers, so only these are measured.
      this.#probe = { from: this.#sent, limit: this.#limit }
      this.#limit = MIN_LIMIT
    }
  }
}
