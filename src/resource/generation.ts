import type { Clock } from '../clock.ts'
import { toError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { onAbort } from '../signals/on-abort.ts'
import { type Acquired, acquire, finish } from './acquired.ts'
import type { Resource } from './resource.ts'
import { within } from './within.ts'

/** The time limit of `open`. */
export const MAX_OPEN_MS = 60_000
/** The time limit of `check`. */
export const MAX_CHECK_MS = 5_000

/** The values that a shared value has borrowed for as long as it exists. */
export interface HeldNeeds {
  readonly values: Readonly<Record<string, unknown>>
  readonly release: () => void
}

export interface GenerationParts {
  readonly name: string
  readonly resource: Resource<unknown>
  readonly clock: Clock
  readonly log: Logger
  /** The values that a shared value has borrowed; undefined unless all runs share the value of the resource. */
  readonly needs: HeldNeeds | undefined
  /** Called once: when the instance is retired and its last borrower has returned the value. */
  readonly onUnused: (unused: Generation) => void
}

/** One opened instance of a resource. It lends values until it is retired. It may close when the last borrower has returned its value. */
export class Generation {
  readonly #parts: GenerationParts
  readonly #life = new AbortController()
  readonly openedAtMs: number
  #borrowers = 0
  #isRetired = false
  #shared: Acquired | undefined
  #closed: Promise<void> | undefined

  /**
   * Opens an instance.
   *
   * @throws the errors of `open` and of a shared value's `acquire`; an error after one minute; the signal's reason
   */
  static open(parts: GenerationParts, signal: AbortSignal): Promise<Generation> {
    const { name, clock, log } = parts
    return within(
      { clock, ms: MAX_OPEN_MS, what: 'open', signal },
      (limited) => Generation.#open(parts, limited),
      // No caller is waiting for this instance any more, so it is closed.
      (late) =>
        void late
          .close()
          .catch((error: unknown) =>
            log.error(
              { err: error, resource: name },
              `resource ${name}: an instance that opened too late could not be closed`,
            ),
          ),
    )
  }

  static async #open(parts: GenerationParts, signal: AbortSignal): Promise<Generation> {
    const { resource, log, needs } = parts
    try {
      await resource.open?.({ signal, log })
    } catch (error) {
      needs?.release()
      throw error
    }
    const generation = new Generation(parts)
    if (!needs) return generation
    const settled = onAbort(signal, () => generation.#life.abort(signal.reason))
    try {
      generation.#shared = await acquire(resource, { resources: needs.values, signal: generation.#life.signal, log })
      return generation
    } catch (error) {
      await generation.close()
      throw error
    } finally {
      settled()
    }
  }

  private constructor(parts: GenerationParts) {
    this.#parts = parts
    this.openedAtMs = parts.clock.monotonic()
  }

  get resource(): Resource<unknown> {
    return this.#parts.resource
  }

  /** The value that all runs share, if there is one. */
  get value(): unknown {
    return this.#shared?.value
  }

  get isRetired(): boolean {
    return this.#isRetired
  }

  /** Counts a borrower. @returns false if the instance is retired */
  hold(): boolean {
    if (this.#isRetired) return false
    this.#borrowers += 1
    return true
  }

  /** Called when a borrower has returned its value. */
  release(): void {
    this.#borrowers -= 1
    this.#tellUnused()
  }

  /** Ends the lending of new values. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    this.#tellUnused()
  }

  #tellUnused(): void {
    if (this.#isRetired && this.#borrowers === 0) this.#parts.onUnused(this)
  }

  /** Checks whether the instance can be used. Resolves with undefined if it can, otherwise with the reason. Never rejects. */
  async check(): Promise<Error | undefined> {
    const { resource, clock } = this.#parts
    try {
      const answer = await within({ clock, ms: MAX_CHECK_MS, what: 'check' }, () => resource.check?.())
      return answer === false ? new Error('check returned false') : undefined
    } catch (thrown) {
      return toError(thrown)
    }
  }

  /** Ends the shared value and closes the instance. A second call returns the promise of the first. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#isRetired = true
    this.#life.abort(new Error('this instance of the resource is closed'))
    try {
      if (this.#shared) await finish(this.#shared, { ok: true })
    } finally {
      try {
        await this.#parts.resource.close?.()
      } finally {
        this.#parts.needs?.release()
      }
    }
  }
}
