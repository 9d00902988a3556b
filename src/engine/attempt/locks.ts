import { describe, PikoError } from '../../errors.ts'
import { Semaphore } from '../../resource/semaphore.ts'
import { halved } from '../../store/statements/halved.ts'
import { changeRefused, changing } from '../refused-changes.ts'
import type { LockHolding, LockStore } from '../../store/nodes/lock-store.ts'
import { type Duration, durationMs, MAX_STORED_MS } from '../../time/duration.ts'
import { optionsOf } from './call-options.ts'
import { Lock, type LockHolder } from './lock.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { LockOptions } from './lock-options.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

/** The prefix of users' locks. It keeps them apart from Piko's own locks. */
export const USER_LOCKS = 'user:'
const LOCK_TABLE = 'piko_lock'
const NAME = /^[\w.:/-]{1,120}$/
const SHORTEST_TTL_MS = 1_000
/**
 * If a stored lease ends later than any valid lease could, it is shortened. At least this many milliseconds remain, so that its owner, who
 * may have requested an hour, has time to renew it.
 */
const MIN_SHORTENED_MS = 20 * 60_000
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500
const RETRY_MS = 200
/**
 * The name under which failures of renewals are reported. It is separate from the loop's name, because the loop's steps may succeed while
 * renewals fail.
 */
const RENEWALS = 'lock renewals'
/** The holder relies only on this share of its lease. So it notices the end before another owner can get the lock. */
const TRUSTED_SHARE = 0.8
const LATE = 'it could not be renewed in time'

interface Holding extends LockHolding {
  readonly lock: Lock
  /** Lets the next waiter of this process continue. */
  readonly leave: () => void
  readonly ttlMs: number
  /**
   * The end of the trusted time, on the monotonic clock. It is calculated from when the renewal was sent, because the answer may come late.
   */
  trustedUntil: number
  renewAt: number
}

export interface LocksParts extends LoopServiceParts {
  readonly locks: LockStore
  /**
   * Refuses a call inside a transaction.
   *
   * @throws PikoError `USAGE` inside a transaction, because the call would then wait for that transaction
   */
  readonly assertOutside: (call: string) => void
}

/**
 * Holds the locks of this process's users, and renews all of them together. If the database does not answer, each lock ends by the clock.
 * Callers that want the same lock wait in a queue here, and only the first one asks the database.
 */
export class Locks extends LoopService {
  readonly #parts: LocksParts
  readonly #held = new Map<Lock, Holding>()
  readonly #lines = new Map<string, Semaphore>()
  readonly #holder: LockHolder = {
    release: (lock) => this.#release(lock),
    abandon: (lock) => this.#abandon(lock),
    isHeld: (lock) => this.#parts.clock.monotonic() < (this.#held.get(lock)?.trustedUntil ?? -Infinity),
  }
  #renewing: Promise<void> | undefined
  /** The number of renewals that failed in a row. */
  #renewalsFailed = 0

  constructor(parts: LocksParts) {
    super('locks', parts)
    this.#parts = parts
  }

  /** Acquires a lock that only one owner on this database can hold at a time. See `NamedLocks`. */
  async acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    this.#parts.assertOutside('the acquisition of a lock')
    const { ttl = '30s', wait = '30s', signal } = optionsOf('app.locks.acquire', options)
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw new PikoError(
        'USAGE',
        `the name of a lock is ${describe(name)}; expected 1 to 120 letters, digits or any of _ - . : /`,
      )
    }
    const ttlMs = durationMs(ttl, 'ttl of a lock', MAX_STORED_MS)
    if (ttlMs < SHORTEST_TTL_MS) throw new PikoError('USAGE', `ttl of a lock is "${ttl}"; expected one second or more`)
    const deadline = this.#parts.clock.monotonic() + durationMs(wait, 'wait of a lock')
    signal?.throwIfAborted()
    const leave = await this.#standInLine(name, deadline, wait, signal)
    try {
      return await this.#takeFirst(name, ttlMs, { deadline, wait, signal, leave })
    } catch (error) {
      leave()
      throw error
    }
  }

  /**
   * Acquires one of Piko's own locks. The name must include its prefix. Does not wait for another owner.
   *
   * @returns undefined if another owner holds the lock
   */
  tryAcquire(name: string, ttlMs: number): Promise<Lock | undefined> {
    return this.#take(name, ttlMs, () => {}, '')
  }

  /**
   * Extends locks that would end during the next jump of a test's clock.
   *
   * @param ms the length of the jump; 0: extends all locks
   */
  async keepFor(ms: number): Promise<void> {
    const now = this.#parts.clock.monotonic()
    const ending = [...this.#held.values()].filter(({ trustedUntil }) => ms === 0 || trustedUntil <= now + ms)
    for (const [ttlMs, holdings] of Map.groupBy(ending, (holding) => holding.ttlMs)) {
      const standing = await this.#parts.locks.renewAll(holdings, ttlMs + ms)
      this.#keep(holdings, standing, this.#parts.clock.monotonic() + ms)
    }
  }

  /** Does not wait for the database, so that a lost lock is reported in time. */
  protected override step(): Promise<number> {
    const now = this.#parts.clock.monotonic()
    let nextAt = Infinity
    for (const holding of this.#held.values()) {
      if (holding.trustedUntil <= now) this.#lose(holding, LATE)
      else nextAt = Math.min(nextAt, holding.trustedUntil, holding.renewAt)
    }
    const due = [...this.#held.values()].filter(({ renewAt }) => renewAt <= now)
    if (due.length > 0) {
      this.#renewing ??= this.#renewAll().finally(() => {
        this.#renewing = undefined
        this.wake()
      })
      nextAt = Math.min(...[...this.#held.values()].map(({ trustedUntil }) => trustedUntil))
    }
    return Promise.resolve(Math.max(1, nextAt - now))
  }

  /** Releases the remaining locks when the process stops. */
  protected override async onStop(why: StopReason): Promise<void> {
    await super.onStop()
    await this.#renewing
    if (why === 'crash') return
    for (const line of this.#lines.values()) line.refuseWaiting(stopped('a lock'))
    await Promise.all([...this.#held.keys()].map((lock) => lock.release()))
  }

  async #standInLine(name: string, deadline: number, wait: Duration, signal?: AbortSignal): Promise<() => void> {
    const line = this.#lines.get(name) ?? new Semaphore(1)
    this.#lines.set(name, line)
    if (line.active === 0 && line.waiting === 0) {
      await line.acquire(signal)
      return this.#leaveOf(name, line)
    }
    const late = new AbortController()
    const found = new AbortController()
    const timer = this.#parts.clock
      .sleep(Math.max(0, deadline - this.#parts.clock.monotonic()), found.signal)
      .then(() => late.abort())
    try {
      await line.acquire(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } catch (error) {
      throw late.signal.aborted && !signal?.aborted ? await this.#busy(name, wait) : error
    } finally {
      found.abort()
      await timer
    }
    return this.#leaveOf(name, line)
  }

  #leaveOf(name: string, line: Semaphore): () => void {
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      line.release()
      if (line.active === 0 && line.waiting === 0) this.#lines.delete(name)
    }
  }

  async #takeFirst(
    name: string,
    ttlMs: number,
    options: { deadline: number; wait: Duration; signal: AbortSignal | undefined; leave: () => void },
  ): Promise<Lock> {
    const { deadline, wait, signal, leave } = options
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      signal?.throwIfAborted()
      const lock = await this.#take(name, ttlMs, leave)
      if (lock) return lock
      const leftMs = deadline - this.#parts.clock.monotonic()
      if (leftMs <= 0) throw await this.#busy(name, wait)
      await this.#parts.clock.sleep(Math.min(leftMs, pauseMs * (0.5 + Math.random() / 2)), signal)
    }
  }

  async #take(name: string, ttlMs: number, leave: () => void, prefix = USER_LOCKS): Promise<Lock | undefined> {
    if (!this.isRunning) throw stopped(`lock "${name}"`)
    const owner = crypto.randomUUID()
    const sentAt = this.#parts.clock.monotonic()
    const lease = { maxMs: MAX_STORED_MS, shortenedMs: Math.max(ttlMs, MIN_SHORTENED_MS) }
    const fence = await changing(`the holder of lock "${name}"`, LOCK_TABLE, () =>
      this.#parts.locks.acquire(`${prefix}${name}`, owner, ttlMs, lease),
    )
    if (fence === undefined) return undefined
    const times = timesOf(sentAt, ttlMs)
    if (times.trustedUntil <= this.#parts.clock.monotonic()) {
      // The answer came so late that another owner may soon get the lock, so the lock is released instead of being used.
      await this.#parts.locks.release(`${prefix}${name}`, owner, fence)
      return undefined
    }
    const lock = new Lock(name, fence, this.#holder)
    this.#held.set(lock, { name: `${prefix}${name}`, owner, lock, leave, ttlMs, ...times })
    this.wake()
    return lock
  }

  async #renewAll(): Promise<void> {
    const byTtl = Map.groupBy(this.#held.values(), (holding) => holding.ttlMs)
    for (const [ttlMs, holdings] of byTtl) {
      const sentAt = this.#parts.clock.monotonic()
      try {
        let refusal: unknown
        await halved(
          holdings,
          async (some) => this.#keep(some, await this.#parts.locks.renewAll(some, ttlMs), sentAt),
          (holding, thrown) => {
            refusal = changeRefused(`lock "${holding.lock.name}" can't be renewed`, LOCK_TABLE, thrown)
            holding.renewAt = this.#parts.clock.monotonic() + RETRY_MS
          },
        )
        if (refusal !== undefined) this.#failed(refusal)
        else if (this.#renewalsFailed > 0) this.#renewed()
      } catch (thrown) {
        this.#failed(thrown)
        for (const holding of holdings) holding.renewAt = this.#parts.clock.monotonic() + RETRY_MS
      }
    }
  }

  #keep(holdings: readonly Holding[], standing: ReadonlySet<string>, sentAt: number): void {
    for (const holding of holdings) {
      if (!standing.has(holding.owner)) this.#lose(holding, 'its lease has run out')
      // The owner of the lock may have seen in the meantime that the lease could not be trusted. So the loss is reported, even though this
      // renewal succeeded.
      else if (holding.trustedUntil <= this.#parts.clock.monotonic()) this.#lose(holding, LATE)
      else Object.assign(holding, timesOf(sentAt, holding.ttlMs))
    }
  }

  #failed(thrown: unknown): void {
    this.#renewalsFailed += 1
    const failures = this.#renewalsFailed
    this.#parts.loops.failed({ loop: RENEWALS, thrown, retryInMs: RETRY_MS, failures })
  }

  #renewed(): void {
    const failures = this.#renewalsFailed
    this.#renewalsFailed = 0
    this.#parts.loops.recovered(RENEWALS, failures)
  }

  #lose(holding: Holding, why: string): void {
    // The lock has already been released, so there is no loss to report.
    if (!this.#held.delete(holding.lock)) return
    holding.lock.lose(why)
    holding.leave()
  }

  async #release(lock: Lock): Promise<void> {
    const holding = this.#held.get(lock)
    if (!holding) return
    this.#parts.assertOutside('the release of a lock')
    this.#held.delete(lock)
    try {
      await changing(`the end of lock "${lock.name}"`, LOCK_TABLE, () =>
        this.#parts.locks.release(holding.name, holding.owner, lock.fence),
      )
    } finally {
      holding.leave()
    }
  }

  #abandon(lock: Lock): () => Promise<void> {
    const holding = this.#held.get(lock)
    if (!holding) return () => Promise.resolve()
    this.#held.delete(lock)
    holding.leave()
    return () => this.#parts.locks.release(holding.name, holding.owner, lock.fence)
  }

  async #busy(name: string, wait: Duration): Promise<PikoError> {
    const holder = await this.#parts.locks.holder(`${USER_LOCKS}${name}`).catch(() => undefined)
    const until = holder ? `; its lease runs until ${holder.expiresAt.toISOString()}` : ''
    return new PikoError('LOCK_BUSY', `lock "${name}" is still held by another owner after a wait of ${wait}${until}`, {
      details: { name, wait },
    })
  }
}

function timesOf(sentAt: number, ttlMs: number): Pick<Holding, 'trustedUntil' | 'renewAt'> {
  return { trustedUntil: sentAt + ttlMs * TRUSTED_SHARE, renewAt: sentAt + ttlMs / 3 }
}

function stopped(what: string): PikoError {
  return new PikoError('STOPPED', `${what} can't be taken: this node is stopping or restarting`)
}
