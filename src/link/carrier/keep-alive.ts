import type { Clock } from '../../clock.ts'
import { MAX_UNANSWERED } from './limits.ts'

/** Sends PINGs, measures the round trip and notices when the connection is dead. */
export class KeepAlive {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #events: { readonly ping: (body: Buffer) => void; readonly lost: () => void }
  #timer: NodeJS.Timeout | undefined
  #unanswered = 0
  #count = 0n
  #sentAtMs = 0
  /** The duration of the last round trip in milliseconds. */
  rttMs: number | undefined

  constructor(clock: Clock, everyMs: number, events: { ping: (body: Buffer) => void; lost: () => void }) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#events = events
  }

  start(): void {
    this.#ping()
    this.#timer = setInterval(() => this.#tick(), this.#everyMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Records that bytes have arrived. They show that the other end is alive, even if its PONG is waiting behind them. */
  heard(): void {
    this.#unanswered = 0
  }

  answered(body: Buffer): void {
    if (body.readBigUInt64BE(0) === this.#count) this.rttMs = this.#clock.monotonic() - this.#sentAtMs
  }

  #tick(): void {
    if (this.#unanswered >= MAX_UNANSWERED) this.#events.lost()
    else this.#ping()
  }

  #ping(): void {
    this.#unanswered++
    this.#count++
    this.#sentAtMs = this.#clock.monotonic()
    const body = Buffer.allocUnsafe(8)
    body.writeBigUInt64BE(this.#count, 0)
    this.#events.ping(body)
  }
}
