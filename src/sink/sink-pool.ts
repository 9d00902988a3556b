import { systemClock } from '../clock.ts'
import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { Closing } from '../service/closing.ts'
import { BufferedSink } from './buffered-sink.ts'
import { isOutage } from './delivery/outage.ts'
import { DeliveryCounts, type SinkStats } from './delivery/sink-stats.ts'
import { routesOf } from './routes.ts'
import type { SinkClass, SinkEnv, SinkMap, SinkScope, SinkWriter } from './sink.ts'
import { policyOf } from './sink-policy.ts'
import type { DurableParts, OwnedSink, SinkTarget } from './sink-target.ts'
import type { SinkSpills } from './spill/sink-spills.ts'

/** The time limit for closing all sinks together. */
const MAX_CLOSE_MS = 2_000

/** The sinks of one attempt. */
export interface RunSinks {
  /** The writers, by the names of the sink map. */
  readonly writers: Readonly<Record<string, SinkWriter>>
  /**
   * Delivers the remaining rows after a successful handler, sink by sink in the map's order. Then calls `finish` of each sink.
   *
   * @throws PikoError `SINK_FAILED`; the sinks after the failed one are not flushed: call `discard`
   */
  readonly flush: () => Promise<void>
  /**
   * Delivers the rows that have been written so far. More rows may be written afterwards.
   *
   * @throws PikoError `SINK_FAILED`
   */
  readonly deliver: () => Promise<void>
  /**
   * Called after a failure: drops the rows that were not delivered, waits for running deliveries, and calls `discard` of each sink. Never
   * rejects.
   */
  readonly discard: () => Promise<void>
}

export interface SinkPoolParts {
  readonly env: SinkEnv
  /** Stores dead letters and spilled batches. Undefined in tests of sinks alone, where nothing is stored. */
  readonly durable?: DurableParts | undefined
}

/**
 * The sinks of the process, with one instance per class. An instance is created and opened for the first run that needs it.
 *
 * open → `close()` → closed.
 */
export class SinkPool {
  readonly #parts: SinkPoolParts
  readonly #sinks = new Map<SinkClass, OwnedSink>()
  #spills: SinkSpills | undefined
  #closed: Promise<void> | undefined

  constructor(parts: SinkPoolParts) {
    this.#parts = parts
  }

  /**
   * Prepares the spills of these sinks, and starts to send batches that ended processes have left on disk.
   *
   * @throws PikoError `SINK_FAILED`
   */
  async start(classes: readonly SinkClass[]): Promise<void> {
    const { durable, env } = this.#parts
    assertNames(classes)
    const spilling = classes.filter(({ spill }) => Boolean(spill))
    if (!durable || spilling.length === 0) return
    const { SinkSpills } = await import('./spill/sink-spills.ts')
    this.#spills = await SinkSpills.open({ durable, env, open: (owned) => this.#open(owned) })
    for (const sinkClass of spilling) {
      const { name, spill } = sinkClass
      const policy = policyOf(name, sinkClass).spill
      if (spill && policy) await this.#spills.add(name, policy)
    }
    for (const sinkClass of spilling) this.#spills.drain(this.#sinkOf(sinkClass.name, sinkClass))
    await this.#spills.adopt()
  }

  get stats(): SinkStats[] {
    return [...this.#sinks.values()].map(({ name, counts, spill }) => ({
      sink: name,
      ...counts,
      spillBytes: spill?.bytes ?? 0,
      spillSegments: spill?.segments ?? 0,
      spillAgeSeconds: spill?.oldestMs === undefined ? 0 : Math.max(0, (systemClock.now() - spill.oldestMs) / 1_000),
    }))
  }

  /**
   * Returns an open sink, for deliveries outside of runs.
   *
   * @throws PikoError `SINK_FAILED`, `STOPPED`
   */
  async opened(sinkClass: SinkClass): Promise<SinkTarget> {
    this.#assertOpen()
    const owned = this.#sinkOf(sinkClass.name, sinkClass)
    await this.#open(owned)
    return owned
  }

  /**
   * Opens the sinks of one attempt. Two names of the same class share one buffer.
   *
   * @throws PikoError `SINK_FAILED` if a sink can't be created or opened; the next run tries again
   * @throws PikoError `STOPPED` after {@link close} was called
   * @throws the reason of `scope.signal` if it aborts first
   */
  async forRun(map: SinkMap, scope: SinkScope, hasOtherWriters?: () => boolean): Promise<RunSinks> {
    this.#assertOpen()
    const buffers = new Map<OwnedSink, BufferedSink>()
    const writers: [string, SinkWriter][] = []
    for (const [key, sinkClass] of Object.entries(map)) {
      const owned = this.#sinkOf(key, sinkClass)
      const buffer = buffers.get(owned) ?? new BufferedSink(owned, scope, hasOtherWriters)
      buffers.set(owned, buffer)
      writers.push([key, buffer])
    }
    for (const owned of buffers.keys()) await orAborted(this.#opening(owned), scope.signal)
    return {
      writers: Object.freeze(Object.fromEntries(writers)),
      flush: async () => {
        let spilled = 0
        for (const buffer of buffers.values()) spilled += await buffer.flush()
        if (spilled > 0) await this.#parts.durable?.journal.flushed()
        for (const owned of buffers.keys()) await finish(owned, scope)
      },
      deliver: async () => {
        for (const buffer of buffers.values()) await buffer.deliver()
      },
      discard: async () => {
        await Promise.all([...buffers.values()].map((buffer) => buffer.discard()))
        await Promise.all([...buffers.keys()].map((owned) => discard(owned, scope)))
      },
    }
  }

  /**
   * Clears the rows that earlier generations wrote to a window, in all sinks of a run whose items have ended.
   *
   * @param scope its fence is the generation whose rows stay
   * @throws PikoError `SINK_FAILED`
   */
  async clearOlder(map: SinkMap, scope: Omit<SinkScope, 'sql'>): Promise<void> {
    this.#assertOpen()
    const owners = new Set(Object.entries(map).map(([key, sinkClass]) => this.#sinkOf(key, sinkClass)))
    for (const owned of owners) {
      const { name, sink, routes } = owned
      if (!sink.clear) continue
      await this.#open(owned)
      const older = { ...scope, sql: this.#parts.env.sql, before: scope.fence }
      try {
        for (const route of routes.values()) await sink.clear(older, route.model)
      } catch (error) {
        throw failed(name, 'could not clear older generations', error)
      }
    }
  }

  /**
   * Closes every created sink, newest first. If a sink fails to close or hangs, the others are still closed.
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
        `sink ${key} is ${describe(sinkClass)}; expected a subclass of Sink, or a class that defineSink returned`,
      )
    }
    const name = sinkClass.name || key
    const policy = policyOf(name, sinkClass)
    const routes = routesOf(sinkClass)
    try {
      const owned: OwnedSink = {
        ...{ name, sink: new sinkClass(), routes, policy, counts: new DeliveryCounts(), opened: undefined },
        deadLetters: policy.tolerate === undefined ? undefined : this.#parts.durable?.deadLetters,
        spill: policy.spill && this.#spills?.queueOf(name),
      }
      this.#sinks.set(sinkClass, owned)
      return owned
    } catch (error) {
      throw failed(name, 'could not be created', error)
    }
  }

  /** Opens a sink. If its target is down and the sink has a spill, it is opened later, and until then its rows go to disk. */
  async #opening(owned: OwnedSink): Promise<void> {
    try {
      await this.#open(owned)
    } catch (thrown) {
      const error = toError(thrown)
      if (!owned.spill || !isOutage(error, owned.policy.spill?.isOutage)) throw error
      owned.spill.hold(error)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new PikoError('STOPPED', 'the sinks are closed: the process is stopping')
  }

  #open(owned: OwnedSink): Promise<void> {
    if (owned.opened) return owned.opened
    const opened = (async () => owned.sink.open?.(this.#parts.env))().catch((error: unknown) => {
      owned.opened = undefined
      throw failed(owned.name, 'could not be opened', error)
    })
    return (owned.opened = opened)
  }

  async #close(): Promise<void> {
    const failures: Error[] = []
    try {
      await this.#spills?.close()
    } catch (error) {
      failures.push(toError(error))
    }
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

/**
 * Checks that the names of sinks with `spill` or `deadLetters` are unique, because rows on disk and dead letters refer to their sink by
 * name.
 */
function assertNames(classes: readonly SinkClass[]): void {
  const seen = new Map<string, SinkClass>()
  for (const sinkClass of classes) {
    const { name, spill, deadLetters } = sinkClass
    const other = seen.get(name)
    if (other && (spill || deadLetters || other.spill || other.deadLetters)) {
      throw new PikoError(
        'SINK_FAILED',
        `two sinks are named ${name}, and one has spill or deadLetters, which find their sink by its name; rename one`,
        { details: { sink: name } },
      )
    }
    seen.set(name, sinkClass)
  }
}

async function finish({ name, sink }: OwnedSink, scope: SinkScope): Promise<void> {
  if (!sink.finish) return
  if (scope.signal.aborted) throw toError(scope.signal.reason)
  try {
    await sink.finish(scope)
  } catch (error) {
    throw failed(name, 'could not finish its output', error)
  }
}

async function discard({ name, sink }: OwnedSink, scope: SinkScope): Promise<void> {
  try {
    await sink.discard?.(scope)
  } catch (error) {
    scope.log.warn(
      { err: toError(error), sink: name },
      'a sink failed to drop the output of an attempt that did not succeed',
    )
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
