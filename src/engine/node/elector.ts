import { describe, isPikoError, PikoError, toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import { aFunction, anAbortSignal, type OptionChecks } from '../../options.ts'
import { checkedCall, wrongCall } from '../../call-options.ts'
import { onAbort } from '../../signals/on-abort.ts'
import { Waiters } from '../../signals/waiters.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import { type Duration, durationMs, MAX_STORED_MS } from '../../time/duration.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Lock } from '../attempt/lock.ts'
import type { Locks } from '../attempt/locks.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface ElectorOptions {
  /**
   * How long the lease of a dead leader still blocks the others. A live leader renews its lease in time. Default `'10s'`, at least one
   * second.
   */
  readonly ttl?: Duration
}

/**
 * A function that runs while this process is the leader.
 *
 * @param signal aborts when the term ends: the lease was lost, or the elector stops
 * @param epoch grows with each term, across all nodes. A target should refuse writes with a smaller epoch than the last one
 */
export type LeaderWork = (signal: AbortSignal, epoch: number) => unknown

export interface ElectorParts extends LoopServiceParts {
  readonly locks: Pick<Locks, 'tryAcquire'>
  readonly events: Events
}

const NAME = /^[\w.:/-]{1,100}$/
const PREFIX = 'elector:'
const CHECKS: OptionChecks<ElectorOptions> = { ttl: aDuration(1_000, MAX_STORED_MS) }
/** The maximum time, on average, between two attempts of a follower to lead. Each pause is random, up to a quarter shorter or longer. */
const MAX_RETRY_MS = 1_000
/** How long to wait for the leader's functions when a term ends. After that, the lease is released only when they end. */
const MAX_WORK_MS = 4_000

/** One term of leadership of this process. */
interface Term {
  readonly lock: Lock
  readonly ended: AbortController
}

/**
 * Elects one leader among all processes that use the same name on one database. `app.elector` creates and starts it.
 *
 * The leader steps down if it has not renewed its lease within 80 % of the lease, by its own monotonic clock. So a process that was
 * suspended never leads at the same time as its successor.
 */
export class Elector extends LoopService {
  readonly #parts: ElectorParts
  readonly #elector: string
  readonly #ttlMs: number
  readonly #works = new Set<LeaderWork>()
  #term: Term | undefined
  /**
   * The running calls to functions that were passed to `lead`. In a later term, a function is called again only when its earlier call has
   * ended.
   */
  readonly #under = new Map<LeaderWork, Promise<void>>()
  /** After a failed call, this process does not try to lead before this time. */
  #pausedUntil = -Infinity
  readonly #changes = new Waiters<boolean>()

  /** @throws PikoError `USAGE` naming all problems */
  constructor(name: string, options: ElectorOptions, parts: ElectorParts) {
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw wrongCall('app.elector', [
        `the name is ${describe(name)}; expected 1 to 100 letters, digits or any of _ - . : /`,
      ])
    }
    const { ttl = '10s' } = checkedCall('app.elector', CHECKS, options)
    super(PREFIX + name, parts)
    this.#parts = parts
    this.#elector = name
    this.#ttlMs = durationMs(ttl)
  }

  /** Whether this process is the leader now. It becomes false as soon as the lease is no longer certain. */
  get isLeader(): boolean {
    return this.#term?.lock.isHeld ?? false
  }

  /** The number of the term in which this process leads; undefined if it does not lead. It grows with each term, across all processes. */
  get epoch(): number | undefined {
    return this.isLeader ? this.#term?.lock.fence : undefined
  }

  /**
   * Resolves when this process starts or stops leading; with true if it is now the leader.
   *
   * @throws the reason of the signal; PikoError `STOPPED` when the elector stops
   */
  async changed(options: { readonly signal?: AbortSignal } = {}): Promise<boolean> {
    const { signal } = checkedCall('elector.changed', { signal: anAbortSignal }, options)
    return this.#changes.next(signal)
  }

  /**
   * Calls `work` once in each term of this process, beginning with the current one. If `work` fails, this process steps down and lets
   * others lead for a while. In a later term, `work` is called again only when its earlier call has ended.
   *
   * @returns a function that removes `work`; a call in progress continues
   */
  lead(work: LeaderWork): () => void {
    const problem = aFunction(work)
    if (problem !== undefined) throw wrongCall('elector.lead', [`the work ${problem}`])
    this.#works.add(work)
    if (this.#term) this.#begin(this.#term, work)
    return () => void this.#works.delete(work)
  }

  protected override async step(): Promise<number> {
    const { clock, locks } = this.#parts
    if (this.#term) return Infinity
    const pauseMs = this.#pausedUntil - clock.monotonic()
    if (pauseMs > 0) return pauseMs
    const lock = await locks.tryAcquire(PREFIX + this.#elector, this.#ttlMs)
    if (!lock) return Math.min(MAX_RETRY_MS, this.#ttlMs / 3) * (0.75 + Math.random() / 2)
    if (this.shouldStop) {
      await lock.release()
      return Infinity
    }
    this.#lead(lock)
    return Infinity
  }

  protected override async onStop(why?: StopReason): Promise<void> {
    await super.onStop(why)
    const term = this.#term
    const reason = new PikoError('STOPPED', `elector "${this.#elector}" was stopped`)
    if (term) this.#end(term, reason)
    // After a crash, the elector is restarted. After any other stop, later waits are also rejected.
    this.#changes.end(reason, why !== 'crash')
    if (term) await this.#handOver(term, [...this.#under.values()])
  }

  #lead(lock: Lock): void {
    const term: Term = { lock, ended: new AbortController() }
    this.#term = term
    onAbort(lock.lost, () => this.#end(term, toError(lock.lost.reason)))
    this.#tell(true, lock.fence)
    for (const work of this.#works) this.#begin(term, work)
  }

  #end(term: Term, reason: Error): void {
    if (this.#term !== term) return
    this.#term = undefined
    term.ended.abort(reason)
    this.#tell(false, undefined)
    this.wake()
  }

  #begin(term: Term, work: LeaderWork): void {
    const earlier = this.#under.get(work) ?? Promise.resolve()
    const call = earlier.then(async () => {
      if (term.ended.signal.aborted || !this.#works.has(work)) return
      try {
        await work(term.ended.signal, term.lock.fence)
      } catch (thrown) {
        await this.#failed(term, work, toError(thrown))
      }
    })
    this.#under.set(work, call)
    void call.finally(() => {
      if (this.#under.get(work) === call) this.#under.delete(work)
    })
  }

  /** Steps down because a function of the leader has failed. Another process can then try. */
  async #failed(term: Term, failed: LeaderWork, error: Error): Promise<void> {
    // A failure after the end of the term has no effect.
    if (this.#term !== term) {
      if (!isPikoError(error, 'STOPPED') && !isPikoError(error, 'LOCK_LOST'))
        this.log.debug({ err: error }, 'a function of a former leader ended with an error')
      return
    }
    this.log.error({ err: error }, `the leader of "${this.#elector}" failed, so this process steps down`)
    this.#pausedUntil = this.#parts.clock.monotonic() + this.#ttlMs
    this.#end(term, error)
    const others = [...this.#under].flatMap(([work, call]) => (work === failed ? [] : [call]))
    await this.#handOver(term, others).catch((thrown: unknown) => {
      this.log.warn({ err: toError(thrown) }, `the lease of "${this.#elector}" could not be released and will expire`)
    })
  }

  /**
   * Lets another process lead when these calls have ended, so that two processes never work at the same time. If the calls take too long,
   * the lease is no longer renewed. Then the lease ends when the calls end, or when it expires.
   */
  async #handOver({ lock }: Term, calls: readonly Promise<void>[]): Promise<void> {
    const ended = Promise.all(calls)
    if (await this.#inTime(ended)) return lock.release()
    const release = lock.abandon()
    // This is not awaited, because the calls may take any time. The database may already be closed when they end.
    void ended
      .then(release)
      .catch((thrown: unknown) =>
        this.log.debug({ err: toError(thrown) }, 'the lease of a former leader could not be released and will expire'),
      )
  }

  async #inTime(ended: Promise<unknown>): Promise<boolean> {
    const over = new AbortController()
    const late = this.#parts.clock.sleep(MAX_WORK_MS, over.signal).then(() => false)
    const isOver = await Promise.race([ended.then(() => true), late])
    over.abort()
    return isOver
  }

  #tell(isLeader: boolean, epoch: number | undefined): void {
    this.#changes.tell(isLeader)
    this.#parts.events.emit('elector.changed', { elector: this.#elector, isLeader, epoch })
  }
}
