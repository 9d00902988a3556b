import { type LiveValues, readLive } from '../../settings/live.ts'

export interface LiveParts {
  /** The settings of this process. */
  readonly own: LiveValues
  readonly setLogLevel: (level: LiveValues['logLevel'] | undefined) => void
  /** Called when the number of slots has changed. */
  readonly onConcurrency: () => void
}

/** The settings of this node that can change while it runs. Stored settings take precedence over the node's own settings. */
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

  /** Applies stored settings; undefined: there are none. They are valid, because the watcher refuses invalid ones. */
  apply(config: unknown): void {
    const read = readLive(config ?? {})
    if ('problems' in read) return
    const before = { level: this.#shared.logLevel, concurrency: this.concurrency }
    this.#shared = read.values
    if (this.#shared.logLevel !== before.level) this.#parts.setLogLevel(this.#shared.logLevel)
    if (this.concurrency !== before.concurrency) this.#parts.onConcurrency()
  }

  /** Adds a poll interval to the parts of a service. Reading it always returns the current value. */
  polled<P extends Pick<LiveValues, 'pollIntervalMs'>>(parts: Omit<P, 'pollIntervalMs'>): P {
    return Object.defineProperty(parts, 'pollIntervalMs', { get: () => this.pollIntervalMs, enumerable: true }) as P
  }
}
