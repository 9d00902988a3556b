import { PikoError } from '../errors.ts'
import { within } from '../calls/timeout.ts'
import { isObject } from '../errors-read.ts'
import type {
  SharedHandle,
  SharedReach,
  SharedReason,
  SharedRecord,
  SharedText,
  SharedTopic,
  SharedVersion,
} from '../job/shared-value.ts'
import { Waiters } from '../signals/waiters.ts'
import { Handle, type HandledTopic } from './handle.ts'
import type { SharedSchema } from './shared-schema.ts'
import { Sequence } from '../sequence.ts'

export interface TopicParts<T> {
  readonly topic: string
  readonly schema: SharedSchema<T>
  /** The JSON text of the initial value. */
  readonly initial: string
  readonly keep: number
  readonly reach: SharedReach
}

const INITIAL = 1
const MAX_TRIES = 16
/**
 * If another writer was faster, the second try follows immediately. Before each further try, the writer waits for a random part of 5, 10,
 * 20 … 1,000 ms.
 */
const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 1_000
/** How long the function of an update may take, because other updates in this process wait for it. */
const MAX_UPDATE_MS = 60_000

/** A shared value in one app. */
export class Topic<T, I> implements SharedTopic<T, I>, HandledTopic<T, I> {
  readonly name: string
  readonly #parts: TopicParts<T>
  #current: SharedVersion<T>
  /** The number of the newest known version, even if this process refuses to use it. */
  #latest = INITIAL
  #refusal: { readonly version: number; readonly error: Error } | undefined
  readonly #changes = new Waiters<undefined>()
  readonly #writes = new Sequence()
  readonly #updates = new Sequence()

  constructor(parts: TopicParts<T>) {
    this.#parts = parts
    this.name = parts.topic
    const read = parts.schema.read(parts.initial)
    if ('error' in read) throw read.error
    this.#current = { value: read.value, version: INITIAL }
  }

  get current(): SharedVersion<T> {
    return this.#current
  }

  get refusal(): { readonly version: number; readonly error: Error } | undefined {
    return this.#refusal
  }

  get stopped(): AbortSignal {
    return this.#parts.reach.stopped
  }

  handle(signal?: AbortSignal): SharedHandle<T, I> {
    return new Handle<T, I>(this, signal)
  }

  take({ version, text }: SharedText): void {
    if (version <= this.#latest) return
    this.#latest = version
    const { schema, reach } = this.#parts
    const read = schema.read(text)
    if ('error' in read) {
      this.#refusal = { version, error: read.error }
      reach.refused(this.name, version, this.#current.version, read.error)
      return
    }
    this.#refusal = undefined
    this.#current = { value: read.value, version }
    this.#changes.tell(undefined)
    reach.changed(this.name, version)
  }

  /** Resolves at the next change. @throws the reason of the signal */
  async next(signal: AbortSignal): Promise<void> {
    await this.#changes.next(signal)
  }

  async refresh(): Promise<number> {
    await this.#parts.reach.refresh(this.name)
    return this.#current.version
  }

  history(limit: number, before?: number): Promise<SharedRecord[]> {
    return this.#parts.reach.history(this.name, limit, before)
  }

  /** Publishes a value as a new version. @throws PikoError `SHARED_INVALID`, `SHARED_CONTENDED` */
  async publish(value: unknown, reason: SharedReason): Promise<number> {
    return this.#publishText(this.#textOf(value), reason)
  }

  /** Publishes an earlier version again. @throws PikoError `SHARED_UNKNOWN`, `SHARED_INVALID`, `SHARED_CONTENDED` */
  async rollback(version: number, { reason = `rollback to version ${version}` }: SharedReason): Promise<number> {
    const { reach, schema, initial } = this.#parts
    const stored = (await reach.find(this.name, version)) ?? (version === INITIAL ? initial : undefined)
    if (stored === undefined) {
      throw new PikoError(
        'SHARED_UNKNOWN',
        `"${this.name}" has no stored version ${version}; see its history. At most ${this.#parts.keep} versions are kept`,
        { details: { topic: this.name, version } },
      )
    }
    const read = schema.read(stored)
    if ('error' in read) throw read.error
    return this.#publishText(stored, { reason })
  }

  /**
   * Publishes the value that `fn` returns for the current one.
   *
   * @throws PikoError `SHARED_INVALID`, `SHARED_CONTENDED`; `TIMEOUT` if `fn` takes longer than a minute; any error of `fn`
   */
  async update(fn: (value: T) => I | Promise<I>, reason: SharedReason): Promise<number> {
    return this.#updates.take(() =>
      this.#tried(async () => {
        if (this.#refusal) throw refusedBase(this.name, this.#refusal)
        const { value, version } = this.#current
        const text = this.#textOf(await called(() => fn(value)))
        return this.#writes.take(() => this.#append(text, reason, version))
      }),
    )
  }

  #publishText(text: string, reason: SharedReason): Promise<number> {
    return this.#writes.take(() => this.#tried(() => this.#append(text, reason, this.#latest)))
  }

  #textOf(value: unknown): string {
    return this.#parts.schema.textOf(value, this.#parts.reach.maxBytes)
  }

  /** Repeats a write if another writer was faster and has used its version number. */
  async #tried(write: () => Promise<number | undefined>): Promise<number> {
    const { clock } = this.#parts.reach
    for (let tries = 1; ; tries++) {
      const version = await write()
      if (version !== undefined) return version
      if (tries === MAX_TRIES) throw contended(this.name)
      if (tries > 1) {
        const whole = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 2))
        await clock.sleep(whole * Math.random(), this.stopped)
      }
      this.stopped.throwIfAborted()
      await this.#parts.reach.refresh(this.name)
    }
  }

  /** Stores the version after `base`. @returns its number; undefined if `base` is no longer the newest version */
  async #append(text: string, { reason }: SharedReason, base: number): Promise<number | undefined> {
    if (base !== this.#latest) return undefined
    const { reach, initial, keep } = this.#parts
    const row = { topic: this.name, keep }
    // The initial value is stored too. So the history begins with it, and it is possible to roll back to it.
    if (base === INITIAL) await reach.append({ ...row, version: INITIAL, text: initial, reason: 'initial value' })
    const version = base + 1
    if (!(await reach.append({ ...row, version, text, ...(reason !== undefined && { reason }) }))) return undefined
    this.take({ version, text })
    return version
  }
}

/** Calls a user's function, which may return a promise. */
async function called<V>(fn: () => V | Promise<V>): Promise<V> {
  const returned = fn()
  return isObject(returned) ? within(() => returned, MAX_UPDATE_MS, undefined) : returned
}

function contended(topic: string): PikoError {
  return new PikoError(
    'SHARED_CONTENDED',
    `"${topic}" can't be changed, because other writers changed it during each of ${MAX_TRIES} tries; try again later, or change it less often`,
    { details: { topic, tries: MAX_TRIES } },
  )
}

function refusedBase(topic: string, { version, error }: { version: number; error: Error }): PikoError {
  return new PikoError(
    'SHARED_INVALID',
    `"${topic}" can't be updated: this code refuses its newest version ${version}: ${error.message}; publish a value that fits, or roll back`,
    { cause: error, details: { topic, version } },
  )
}
