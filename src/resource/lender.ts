import { messageOf } from '../errors-read.ts'
import { toError } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { retryDelayMs } from '../run/retry.ts'
import { Closing } from '../service/closing.ts'
import { formatMs } from '../time/duration.ts'
import type { Lane } from './arbiter.ts'
import { Generation, type HeldNeeds } from './generation.ts'
import { failed, ResourceLost, stopped } from './resource-errors.ts'
import type { ResourceNode } from './resource-graph.ts'
import type { Resource, ResourceClass } from './resource.ts'
import type { LenderState, ResourceObserver } from './resource-state.ts'
import { Timeouts } from './timeouts.ts'
import { Upkeep } from './upkeep.ts'

export interface LenderParts {
  readonly node: ResourceNode
  readonly lane: Lane
  readonly clock: Clock
  readonly random: () => number
  readonly log: () => Logger
  readonly observer: () => ResourceObserver
  readonly construct: (resourceClass: ResourceClass) => Resource<unknown> | Promise<Resource<unknown>>
  /** Borrows the resources that a shared value needs. */
  readonly holdNeeds: () => Promise<HeldNeeds>
  /** Called when the resource was lost, was opened again, or has another instance. */
  readonly onChange: (lender: Lender, change: 'lost' | 'replaced') => void
}

interface Loss {
  readonly sinceMs: number
  readonly error: Error
  tries: number
  nextAtMs: number
}

/** How long an unused instance may take to close, in milliseconds. */
const MAX_CLOSE_MS = 2_000
const REOPEN = { limit: Infinity, backoff: 'exponential', baseMs: 500, maxMs: 15_000, jitter: true } as const

/**
 * One resource of the process: opens it, checks and renews it, and closes it.
 *
 * unopened → (first use) → open ⇄ lost → closed. While it is lost, it tries to open a new instance, with growing pauses.
 */
export class Lender {
  readonly #parts: LenderParts
  readonly #stop = new AbortController()
  /** Retired instances that are still borrowed or closing. */
  readonly #old = new Set<Generation>()
  readonly timeouts: Timeouts | undefined
  #current: Generation | undefined
  #opening: Promise<Generation> | undefined
  #checking: { readonly generation: Generation; readonly answer: Promise<Error | undefined> } | undefined
  #loss: Loss | undefined
  #checkAtMs = Infinity
  #renewAtMs = Infinity
  #renewTries = 0
  #renewals = 0
  #checkFailures = 0
  readonly #upkeep: Upkeep

  constructor(parts: LenderParts) {
    this.#parts = parts
    const { signal } = this.#stop
    const { acquireTimeoutMs } = parts.node.options
    if (acquireTimeoutMs !== Infinity) this.timeouts = new Timeouts(acquireTimeoutMs, parts.clock, signal)
    this.#upkeep = new Upkeep(() => this.#step(), parts.clock, signal)
  }

  get node(): ResourceNode {
    return this.#parts.node
  }

  get lane(): Lane {
    return this.#parts.lane
  }

  get name(): string {
    return this.#parts.node.options.name
  }

  get isShared(): boolean {
    return this.#parts.node.options.scope === 'process'
  }

  get state(): LenderState {
    const state = this.#isClosed ? 'closed' : this.#loss ? 'lost' : this.#current ? 'open' : 'unopened'
    return {
      state,
      error: this.#loss && messageOf(this.#loss.error),
      renewals: this.#renewals,
      checkFailures: this.#checkFailures,
    }
  }

  get #isClosed(): boolean {
    return this.#stop.signal.aborted
  }

  /**
   * Returns the instance to borrow from, and counts the caller as a borrower. The first call opens an instance.
   *
   * @throws ResourceLost, PikoError `RESOURCE_FAILED` if the first instance can't be opened, `STOPPED`
   */
  async hold(): Promise<Generation> {
    for (;;) {
      if (this.#isClosed) throw stopped()
      if (this.#loss) throw new ResourceLost(this.name, this.#loss.error)
      const generation = this.#current ?? (await this.#first())
      if (generation.hold()) return generation
    }
  }

  #first(): Promise<Generation> {
    this.#opening ??= this.#openFirst().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #openFirst(): Promise<Generation> {
    const generation = await this.#open()
    this.#adopt(generation)
    return generation
  }

  /**
   * Checks the resource after a failure for which it may be responsible.
   *
   * @returns whether it is lost or has another instance now
   */
  async suspect(generation: Generation): Promise<boolean> {
    if (this.#current === generation && this.#hasCheck(generation)) {
      // A running check may have begun before the failure, so this waits for it and then checks again.
      await this.#checking?.answer
      await this.#check(generation)
    }
    return !this.#isClosed && this.#current !== generation
  }

  /**
   * Checks the resource.
   *
   * @throws an error that says why it can't be used
   */
  async assertReady(): Promise<void> {
    const generation = this.#current
    if (generation && this.#hasCheck(generation)) await this.#check(generation)
    const loss = this.#loss
    if (!loss) return
    const now = this.#parts.clock.monotonic()
    const next = loss.nextAtMs > now ? `, and the next is in ${formatMs(loss.nextAtMs - now)}` : ''
    const since = `lost ${formatMs(now - loss.sinceMs)} ago, ${loss.tries} failed ${loss.tries === 1 ? 'try' : 'tries'} to open it again${next}`
    throw failed(this.name, 'is not ready', loss.tries > 0 ? `${messageOf(loss.error)}; ${since}` : loss.error)
  }

  #hasCheck({ resource }: Generation): boolean {
    return typeof resource.check === 'function'
  }

  /** Checks the current instance. Concurrent callers share one check. */
  async #check(generation: Generation): Promise<Error | undefined> {
    if (this.#checking?.generation !== generation) this.#checking = { generation, answer: this.#checkOnce(generation) }
    return this.#checking.answer
  }

  async #checkOnce(generation: Generation): Promise<Error | undefined> {
    const { clock, node } = this.#parts
    const error = await generation.check()
    this.#checking = undefined
    this.#checkAtMs = clock.monotonic() + node.options.checkEveryMs
    if (error && !this.#isClosed) {
      this.#checkFailures += 1
      if (generation === this.#current) this.lose(error)
    }
    return error
  }

  /** Called if the resource can't be used any more. It lends no values until another instance has been opened. */
  lose(error: Error): void {
    const { clock, lane, observer, onChange } = this.#parts
    const generation = this.#current
    if (!generation || this.#isClosed) return
    const now = clock.monotonic()
    this.#loss = { sinceMs: now, error, tries: 0, nextAtMs: now }
    this.#current = undefined
    lane.isOpen = false
    this.#retire(generation)
    observer().lost(this.name, error)
    onChange(this, 'lost')
    this.wake()
  }

  /** Replaces the instance soon, because a resource that it needs was replaced. */
  renewSoon(): void {
    if (!this.#current) return
    this.#renewAtMs = this.#parts.clock.monotonic()
    this.wake()
  }

  /** Checks immediately whether there is something to do. */
  wake(): void {
    this.#upkeep.wake()
  }

  /**
   * Checks, opens or replaces the resource if this is due. Returns the number of milliseconds after which to call this again. Never
   * rejects.
   */
  async #step(): Promise<number> {
    const { clock } = this.#parts
    if (this.#loss) return this.#reopen(this.#loss)
    const now = clock.monotonic()
    if (now >= this.#renewAtMs) await this.#renew()
    const generation = this.#current
    if (generation && this.#hasCheck(generation) && now >= this.#checkAtMs) await this.#check(generation)
    if (this.#loss) return 0
    return Math.max(0, Math.min(this.#renewAtMs, this.#checkAtMs) - clock.monotonic())
  }

  async #reopen(loss: Loss): Promise<number> {
    const { clock, random } = this.#parts
    const leftMs = loss.nextAtMs - clock.monotonic()
    if (leftMs > 0) return leftMs
    try {
      this.#adopt(await this.#openChecked())
      return 0
    } catch (thrown) {
      loss.tries += 1
      const delayMs = retryDelayMs(REOPEN, loss.tries, random()) ?? REOPEN.maxMs
      loss.nextAtMs = clock.monotonic() + delayMs
      this.#parts
        .log()
        .debug({ err: toError(thrown), resource: this.name }, 'a lost resource could not be opened again')
      return delayMs
    }
  }

  /** Replaces an instance that still works. If no new one can be opened, the old one stays. */
  async #renew(): Promise<void> {
    const { clock, random } = this.#parts
    try {
      this.#adopt(await this.#openChecked())
    } catch (thrown) {
      this.#renewTries += 1
      const delayMs = retryDelayMs(REOPEN, this.#renewTries, random()) ?? REOPEN.maxMs
      this.#renewAtMs = clock.monotonic() + delayMs
      const words = `resource ${this.name} could not be renewed, so its old instance stays in use; the next try is in ${formatMs(delayMs)}`
      // Further tries usually fail for the same reason, so only the first failure is logged as a warning.
      const log = this.#parts.log()
      if (this.#renewTries === 1) log.warn({ err: toError(thrown), resource: this.name }, words)
      else log.debug({ err: toError(thrown), resource: this.name }, words)
    }
  }

  async #openChecked(): Promise<Generation> {
    const generation = await this.#open()
    const error = this.#hasCheck(generation) ? await generation.check() : undefined
    if (!error) return generation
    this.#checkFailures += 1
    this.#retire(generation)
    throw error
  }

  async #open(): Promise<Generation> {
    const { node, clock, log, holdNeeds, construct } = this.#parts
    const needs = this.isShared ? await holdNeeds() : undefined
    let resource: Resource<unknown>
    try {
      resource = await construct(node.resourceClass)
    } catch (error) {
      needs?.release()
      throw failed(this.name, 'could not be created', error)
    }
    const onUnused = (unused: Generation): void => void this.#closeUnused(unused)
    try {
      return await Generation.open({ name: this.name, resource, clock, log: log(), needs, onUnused }, this.#stop.signal)
    } catch (error) {
      if (this.#isClosed) throw stopped()
      throw failed(this.name, 'could not be opened', error)
    }
  }

  /** Makes an opened instance the current one. */
  #adopt(generation: Generation): void {
    const { clock, lane, node, observer, onChange } = this.#parts
    if (this.#isClosed) {
      this.#retire(generation)
      throw stopped()
    }
    const [before, loss, now] = [this.#current, this.#loss, clock.monotonic()]
    this.#current = generation
    this.#loss = undefined
    this.#renewTries = 0
    this.#checkAtMs = this.#hasCheck(generation) ? now + node.options.checkEveryMs : Infinity
    this.#renewAtMs = generation.openedAtMs + node.options.maxLifetimeMs
    if (before) this.#retire(before)
    if (before || loss) this.#renewals += 1
    if (loss) {
      lane.isOpen = true
      observer().recovered(this.name, now - loss.sinceMs, loss.tries)
    }
    if (before || loss) onChange(this, 'replaced')
    this.#upkeep.wake()
  }

  #retire(generation: Generation): void {
    this.#old.add(generation)
    generation.retire()
  }

  async #closeUnused(generation: Generation): Promise<void> {
    // A stop closes the remaining instances itself, in its own order.
    if (this.#isClosed) return
    const closing = new Closing(MAX_CLOSE_MS)
    try {
      await closing.within(() => generation.close())
    } catch (error) {
      this.#parts.log().error({ err: error, resource: this.name }, `resource ${this.name} failed to close`)
    } finally {
      closing.end()
      this.#old.delete(generation)
    }
  }

  /** Opens no more instances, and aborts an opening that is in progress. */
  beginClose(): void {
    this.#stop.abort(stopped())
  }

  /**
   * Closes every instance, within the limit of `closing`.
   * @returns the errors
   */
  async close(closing: Closing): Promise<Error[]> {
    const failures: Error[] = []
    const left = [...this.#old, ...(this.#current ? [this.#current] : [])]
    for (const generation of left) {
      try {
        await closing.within(() => generation.close())
      } catch (error) {
        failures.push(failed(this.name, 'failed to close', error))
      }
    }
    return failures
  }
}
