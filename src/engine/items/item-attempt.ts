import { PikoError } from '../../errors.ts'
import { renewedTries } from '../../item/budget.ts'
import type { ItemPhases } from '../../item/item.ts'
import { loopTurn } from '../../loop-turn.ts'
import type { KindPolicy } from '../../job/items/item-policy.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { Claim } from '../../run/run.ts'
import type { ItemClaim } from '../../store/items/claim-items.ts'
import type { HeldItem } from '../../store/items/end-items.ts'
import type { StateEnd } from '../../store/items/leased-states.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'
import { ItemReader, type PendingItem } from './adding.ts'

/** How many items, and how many bytes of their data, one item may add between two checkpoints. */
const MAX_ADDED = 100_000
const MAX_ADDED_BYTES = 64_000_000
/** The clock is read only once per this many added items. */
const SLICE = 64

/** Thrown to leave the item's function: by `ctx.skip`, by `ctx.retryLater`, and if the item does not get its turn in its lane. */
export class ItemLeave extends Error {
  readonly how: { readonly skip: string } | { readonly laterMs: number }

  constructor(how: ItemLeave['how']) {
    super('skip' in how ? `the item was skipped: ${how.skip}` : 'the item returns to the queue')
    this.how = how
  }
}

/** A state, such as a session, that an item holds until it ends. */
export interface HeldState {
  readonly pool: string
  readonly name: string
  value: string | undefined
  errors: number
  isRetired: boolean
}

/** The state of an item's function: everything that is stored when the item ends. */
export class ItemAttempt {
  readonly item: ItemClaim
  readonly kind: KindPolicy
  readonly job: JobDefinition
  readonly nodeId: string
  /** The run's claim, in the form that a pipeline needs. Its fence is the generation of the items. */
  readonly claim: Claim
  readonly tries: Readonly<Record<string, number>>
  readonly keptBefore: Uint8Array | undefined
  live: LiveAttempt | undefined
  startedAt = 0
  /** Whether the item has had its first turn in its lane. */
  hasTurn = false
  /** When the item's function was called, and when it returned. */
  calledAt: number | undefined
  returnedAt: number | undefined
  bytes = 0
  position: string | undefined
  /** How long the item's lane took to respond, in milliseconds. Undefined: the duration of the attempt is used. Null: unknown. */
  laneMs: number | null | undefined
  /** How long the lane took for all requests that failed, in milliseconds. Used only for the phases. */
  failedLaneMs = 0
  /** Whether a failure says something about the lane. */
  isOfLane = true
  /** The bytes to keep for the next attempt. Undefined: no change; null: remove them. */
  kept: Uint8Array | (() => Uint8Array) | null | undefined
  readonly states: HeldState[] = []
  /** Whether a transaction of the function has already ended the item. */
  isCommitted = false
  isOver = false
  #added: PendingItem[] = []
  #left = new Map<string, number>()
  #addedBytes = 0
  #addedCount = 0
  readonly #now: () => number
  readonly #begunMs: number

  constructor(parts: {
    readonly item: ItemClaim
    readonly kind: KindPolicy
    readonly job: JobDefinition
    readonly nodeId: string
    readonly claim: Claim
    readonly tries: Readonly<Record<string, number>>
    readonly kept: Uint8Array | undefined
    readonly now: () => number
    readonly begunMs: number
  }) {
    this.item = parts.item
    this.kind = parts.kind
    this.job = parts.job
    this.nodeId = parts.nodeId
    this.claim = parts.claim
    this.tries = parts.tries
    this.keptBefore = parts.kept
    this.position = parts.item.position
    this.#now = parts.now
    this.#begunMs = parts.begunMs
  }

  /** Milliseconds since the first items of the run were stored, by the database's clock. */
  get elapsedMs(): number {
    return Math.max(0, this.#now() - this.#begunMs)
  }

  /** How many tries have failed, by class. After a checkpoint, most classes are counted from zero again. */
  get countedTries(): Readonly<Record<string, number>> {
    return this.hasProgressed ? renewedTries(this.tries, this.kind.budgets) : this.tries
  }

  /** Whether this attempt has stored a checkpoint. */
  get hasProgressed(): boolean {
    return this.position !== this.item.position
  }

  /** Divides the time of the attempt, which ended at `now`, into phases. */
  phases(now: number): ItemPhases | undefined {
    const { startedAt, calledAt, returnedAt = now, laneMs } = this
    if (calledAt === undefined) return undefined
    const functionMs = returnedAt - calledAt
    const ofLane = Math.min(functionMs, (laneMs ?? 0) + this.failedLaneMs)
    return { resources: calledAt - startedAt, lane: ofLane, function: functionMs - ofLane, store: now - returnedAt }
  }

  get held(): HeldItem {
    const { id, fence, jobId, kind, claims } = this.item
    return { id, fence, jobId, kind, claims }
  }

  /**
   * Reads items to add. They are stored with the next checkpoint or the end of this item.
   *
   * @returns their number
   * @throws PikoError `ITEM_INVALID`, `USAGE`
   */
  async add(kind: string, values: unknown, options: unknown): Promise<number> {
    this.assertOpen('items.add')
    const { policy } = this.job
    if (!policy.items) return 0
    const reader = new ItemReader(
      {
        ...{ jobId: this.job.id, policy: policy.items, fence: this.item.fence },
        ...{ parentId: this.item.id, depth: this.item.depth + 1, now: this.#now },
        unique: () => `${this.item.id}/${this.item.claims}/${this.#addedCount}`,
      },
      kind,
      values,
      options,
    )
    let index = 0
    const take = (value: unknown): void => {
      const item = reader.item(value, index)
      index += 1
      this.#addedCount += 1
      if (item) this.#push(item)
    }
    if (Symbol.asyncIterator in (values as object))
      for await (const value of values as AsyncIterable<unknown>) take(value)
    else {
      for (const value of values as Iterable<unknown>) {
        take(value)
        // A long list must not block the event loop.
        if (index % SLICE === 0 && loopTurn.isDue(false)) await loopTurn.next()
      }
    }
    for (const [reason, amount] of reader.left) this.#left.set(reason, (this.#left.get(reason) ?? 0) + amount)
    return index
  }

  #push(item: PendingItem): void {
    this.#addedBytes += item.data?.length ?? 0
    this.#added.push(item)
    if (this.#added.length <= MAX_ADDED && this.#addedBytes <= MAX_ADDED_BYTES) return
    throw new PikoError(
      'ITEM_INVALID',
      `item ${this.item.id} of job "${this.job.id}" adds more than ${MAX_ADDED} items or ${MAX_ADDED_BYTES} bytes; call ctx.checkpoint between them`,
      { details: { jobId: this.job.id, itemId: this.item.id } },
    )
  }

  /** Returns the items that were added since the last checkpoint. */
  get added(): { readonly items: readonly PendingItem[]; readonly left: ReadonlyMap<string, number> } {
    return { items: this.#added, left: this.#left }
  }

  /** Removes the first `count` added items, because a checkpoint has stored them. */
  addedStored(count: number): void {
    this.#added = this.#added.slice(count)
    this.#left = new Map()
    this.#addedBytes = this.#added.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
  }

  stateEnds(): StateEnd[] {
    return this.states.map(({ pool, name, value, errors, isRetired }) => ({
      ...{ jobId: this.job.id, pool, name, value, errors, isRetired },
      ...{ itemId: this.item.id, claims: this.item.claims },
    }))
  }

  /** Refuses a call after the end of the item. @throws PikoError `USAGE` if the item has ended */
  assertOpen(call: string): void {
    if (!this.isCommitted && !this.isOver && !this.live?.isHandled) return
    throw new PikoError(
      'USAGE',
      `ctx.${call} was called after item ${this.item.id} of job "${this.job.id}" had ended`,
      {
        details: { jobId: this.job.id, itemId: this.item.id },
      },
    )
  }
}
