import { type LiveValues, readLive } from '../../settings/live.ts'

export interface LiveParts {
  /** The settings of this process. */
  readonly own: LiveValues
  readonly setLogLevel: (level: LiveValues['logLevel'] | undefined) => void
  /** Called when the number of slots has changed. */
  readonly onConcurrency: () => void
}

/** The settings of this node that change while it runs: its own, and over them those that all nodes share. */
export class LiveSettings implements LiveValues {
  readonly #parts: LiveParts
  #shared: Partial<LiveValues> = {}

  constructor(parts: LiveParts) {
    this.#parts = parts
  }

  get pollIntervalMs(): number {
    return this.#shared.pollIntervalMs ?? this.#parts.own.pollIntervalMs
  }

  get concurrency(): number {
    return this.#shared.concurrency ?? this.#parts.own.concurrency
  }

  get logLevel(): LiveValues['logLevel'] {
    return this.#shared.logLevel ?? this.#parts.own.logLevel
  }

  /** Applies stored settings; undefined: none are stored. Wrong ones change nothing: the watcher has refused them. */
  apply(config: unknown): void {
    const read = readLive(config ?? {})
    if ('problems' in read) return
    const before = { level: this.#shared.logLevel, concurrency: this.concurrency }
    this.#shared = read.values
    if (this.#shared.logLevel !== before.level) this.#parts.setLogLevel(this.#shared.logLevel)
    if (this.concurrency !== before.concurrency) this.#parts.onConcurrency()
  }

  /** Adds the poll interval to the parts of a service, as it is at each read. */
  polled<P extends Pick<LiveValues, 'pollIntervalMs'>>(parts: Omit<P, 'pollIntervalMs'>): P {
    return Object.defineProperty(parts, 'pollIntervalMs', { get: () => this.pollIntervalMs, enumerable: true }) as P
  }
}
