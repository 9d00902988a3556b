import { toError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import type { LockStore } from '../../store/nodes/lock-store.ts'
import type { Events } from '../../events.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

export const LEADER_LOCK = 'leader'

export interface LeaderParts extends LoopServiceParts {
  readonly locks: LockStore
  readonly nodeId: string
  readonly leaseMs: Settings['piko']['leaseMs']
  readonly events: Events
}

/**
 * The lease of the leader, the node that plans ticks. A leader relies on its lease only until shortly before the lease ends. The time is
 * measured on the monotonic clock, from before the renewal was sent. So a leader steps down even if the database does not answer.
 */
export class Leader extends LoopService {
  readonly #parts: LeaderParts
  #epoch: number | undefined
  #trustedUntil = 0
  #wasLeader = false
  #change = Promise.withResolvers<boolean>()
  readonly #onLead: (() => void)[] = []

  constructor(parts: LeaderParts) {
    super('leader', parts)
    this.#parts = parts
  }

  get isLeader(): boolean {
    return this.#epoch !== undefined && this.#parts.clock.monotonic() < this.#trustedUntil
  }

  /** The fence of the lease. It grows with every change of leader. */
  get epoch(): number | undefined {
    return this.isLeader ? this.#epoch : undefined
  }

  /** Calls `begin` each time this node becomes the leader. */
  onLead(begin: () => void): void {
    this.#onLead.push(begin)
  }

  /**
   * Resolves when this node starts or stops leading; with true if it is now the leader.
   *
   * @throws the reason of `signal`
   */
  async changed(signal?: AbortSignal): Promise<boolean> {
    if (!signal) return this.#change.promise
    signal.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = (): void => aborted.reject(toError(signal.reason))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([this.#change.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /**
   * Extends the lease before a test's clock jumps.
   *
   * @param ms the length of the jump
   */
  async keepFor(ms: number): Promise<void> {
    const { locks, nodeId, leaseMs, clock } = this.#parts
    if (!this.isLeader || this.#epoch === undefined) return
    if (await locks.renew(LEADER_LOCK, nodeId, this.#epoch, leaseMs + ms))
      this.#trustedUntil = clock.monotonic() + ms + leaseMs * 0.8
  }

  /** Tries once to get or keep the lease. So a single node leads as soon as it has started. */
  protected override async onStart(): Promise<void> {
    await this.step()
    await super.onStart()
  }

  /** Releases the lease, except after a crash: the restarted service renews the lease, or the lease expires. */
  protected override async onStop(why: StopReason): Promise<void> {
    await super.onStop()
    if (why === 'crash') return
    const epoch = this.#epoch
    this.#epoch = undefined
    this.#report()
    if (epoch !== undefined) await this.#parts.locks.release(LEADER_LOCK, this.#parts.nodeId, epoch)
  }

  protected override async step(): Promise<number> {
    try {
      await this.#takeOrKeep()
    } finally {
      this.#report()
    }
    return this.#parts.leaseMs / 3
  }

  async #takeOrKeep(): Promise<void> {
    const sentAt = this.#parts.clock.monotonic()
    if (
      this.#epoch !== undefined &&
      !(await this.#parts.locks.renew(LEADER_LOCK, this.#parts.nodeId, this.#epoch, this.#parts.leaseMs))
    ) {
      this.#epoch = undefined
    }
    this.#epoch ??= await this.#parts.locks.acquire(LEADER_LOCK, this.#parts.nodeId, this.#parts.leaseMs)
    if (this.#epoch === undefined) return
    // If the lease became uncertain before this answer came, callers already saw no leader. So the loss is reported before the lease is
    // trusted again.
    this.#report()
    this.#trustedUntil = sentAt + this.#parts.leaseMs * 0.8
  }

  #report(): void {
    if (this.isLeader === this.#wasLeader) return
    this.#wasLeader = this.isLeader
    this.#parts.events.emit('leader.changed', { isLeader: this.isLeader, epoch: this.epoch })
    const { resolve } = this.#change
    this.#change = Promise.withResolvers()
    resolve(this.isLeader)
    if (this.isLeader) for (const begin of this.#onLead) begin()
  }
}
