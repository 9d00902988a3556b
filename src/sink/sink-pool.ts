import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { Closing } from '../service/closing.ts'
import { BufferedSink, type SinkTarget } from './buffered-sink.ts'
import { assertBatchSize } from './define-sink.ts'
import { routesOf } from './routes.ts'
import type { SinkClass, SinkEnv, SinkMap, SinkScope, SinkWriter } from './sink.ts'

/** Time for all sinks together to close. */
const MAX_CLOSE_MS = 2_000

/** The sinks of one attempt. */
export interface RunSinks {
  /** Keyed by the names of the sink map. */
  readonly writers: Readonly<Record<string, SinkWriter>>
  /**
   * Delivers the remaining rows after a successful handler, sink by sink in the map's order.
   *
   * @throws PikoError `SINK_FAILED`; the sinks after the failed one are not flushed: call `discard`
   */
  readonly flush: () => Promise<void>
  /** Call it after a failure: drops the undelivered rows and waits for the running deliveries. Never rejects. */
  readonly discard: () => Promise<void>
}

interface OwnedSink extends SinkTarget {
  /** Settles when the sink is open. Undefined until the first run, and again after a failure. */
  opened: Promise<void> | undefined
}

/**
 * Owns the process's sinks: one instance per class, created and opened for the first run that needs it.
 *
 * open → `close()` → closed.
 */
export class SinkPool {
  readonly #env: SinkEnv
  readonly #sinks = new Map<SinkClass, OwnedSink>()
  #closed: Promise<void> | undefined

  constructor(env: SinkEnv) {
    this.#env = env
  }

  /**
   * Opens the sinks of one attempt. Two names of the same class share one buffer.
   *
   * @throws PikoError `SINK_FAILED` if a sink can't be created or opened; the next run tries again
   * @throws PikoError `STOPPED` once {@link close} was called
   * @throws the reason of `scope.signal` if it aborts first
   */
  async forRun(map: SinkMap, scope: SinkScope): Promise<RunSinks> {
    if (this.#closed) throw new PikoError('STOPPED', 'the sinks are closed: the process is stopping')
    const buffers = new Map<OwnedSink, BufferedSink>()
    const writers: [string, SinkWriter][] = []
    for (const [key, sinkClass] of Object.entries(map)) {
      const owned = this.#sinkOf(key, sinkClass)
      const buffer = buffers.get(owned) ?? new BufferedSink(owned, scope)
      buffers.set(owned, buffer)
      writers.push([key, buffer])
    }
    for (const owned of buffers.keys()) await orAborted(this.#open(owned), scope.signal)
    return {
      writers: Object.freeze(Object.fromEntries(writers)),
      flush: async () => {
        for (const buffer of buffers.values()) await buffer.flush()
      },
      discard: async () => {
        await Promise.all([...buffers.values()].map((buffer) => buffer.discard()))
      },
    }
  }

  /**
   * Closes every created sink, the newest first. One that fails, or hangs for two seconds, does not prevent the others from closing.
   *
   * @throws PikoError `SINK_FAILED` if sinks fail to close
   */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  #sinkOf(key: string, sinkClass: SinkClass): OwnedSink {
    const made = this.#sinks.get(sinkClass)
    if (made) return made
    if (typeof sinkClass !== 'function') {
      throw new PikoError(
        'SINK_FAILED',
        `sink ${key} is ${describe(sinkClass)}; expected a subclass of Sink, or one that defineSink made`,
      )
    }
    const name = sinkClass.name || key
    const { batchSize, batchBytes } = sinkClass
    assertBatchSize(name, { batchSize, batchBytes })
    const routes = routesOf(sinkClass)
    try {
      const owned = { name, sink: new sinkClass(), routes, batchSize, batchBytes, opened: undefined }
      this.#sinks.set(sinkClass, owned)
      return owned
    } catch (error) {
      throw failed(name, 'could not be made', error)
    }
  }

  #open(owned: OwnedSink): Promise<void> {
    if (owned.opened) return owned.opened
    const opened = (async () => owned.sink.open?.(this.#env))().catch((error: unknown) => {
      owned.opened = undefined
      throw failed(owned.name, 'could not be opened', error)
    })
    return (owned.opened = opened)
  }

  async #close(): Promise<void> {
    const failures: Error[] = []
    const closing = new Closing(MAX_CLOSE_MS)
    for (const { name, sink, opened } of [...this.#sinks.values()].reverse()) {
      try {
        await closing.within(() => Promise.allSettled([opened]))
        await closing.within(() => sink.close?.())
      } catch (error) {
        failures.push(failed(name, 'failed to close', error))
      }
    }
    closing.end()
    const [first] = failures
    if (!first) return
    if (failures.length === 1) throw first
    const messages = failures.map(({ message }) => message).join('; ')
    throw new PikoError('SINK_FAILED', messages, { cause: new AggregateError(failures, messages) })
  }
}

async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let leave = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    leave = () => reject(toError(signal.reason))
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

function failed(name: string, what: string, thrown: unknown): PikoError {
  const cause = toError(thrown)
  return new PikoError('SINK_FAILED', `sink ${name} ${what}: ${messageOf(cause)}`, { cause, details: { sink: name } })
}
