import type { Settings } from '../../settings/settings.ts'
import { EarlyClaims } from './early-claims.ts'
import { WaitingLine } from './waiting-line.ts'
import type { Clock } from '../../clock.ts'
import { Pace } from './pace.ts'
import type { Taken } from './taken.ts'

/** The maximum number of early claims that are waiting until they are due. */
const MAX_EARLY = 10_000

/**
 * The maximum number of claims per slot. This includes claims that are waiting or running, and claims whose outcomes are not stored yet.
 */
const MAX_KEPT_PER_SLOT = 3

export interface SlotParts {
  /** The maximum number of handlers that run at the same time. */
  readonly concurrency: Settings['piko']['concurrency']
  readonly clock: Clock
  /** The number of claims of this node whose outcomes are not stored yet, without those that are only waiting for their items. */
  readonly kept: () => number
  readonly begin: (taken: Taken) => void
  readonly giveBack: (taken: Taken) => void
}

/** The slots of a node: which claims have one, which are waiting for one, and how many more claims the node may take. */
export class Slots {
  readonly #parts: SlotParts
  readonly #pace: Pace<Taken>
  readonly #waiting: WaitingLine<Taken>
  readonly #early: EarlyClaims<Taken>
  #used = 0

  constructor(parts: SlotParts) {
    this.#parts = parts
    this.#pace = new Pace(parts.begin)
    this.#waiting = new WaitingLine(parts.clock, parts.giveBack)
    this.#early = new EarlyClaims(parts.clock, (taken) => this.take(taken))
  }

  get used(): number {
    return this.#used
  }

  /** Whether claims begin in the next turns of the event loop. */
  get isBeginning(): boolean {
    return this.#pace.isBusy
  }

  /** How many more claims the node would take now. There are fewer while a slow database has not yet stored earlier outcomes. */
  get room(): number {
    const { concurrency, kept } = this.#parts
    // At most as many claims may wait as there are slots.
    const wanted = concurrency * (this.#waiting.isWorthWhile ? 2 : 1) - this.#used - this.#waiting.size
    return Math.min(wanted, MAX_KEPT_PER_SLOT * concurrency - (kept() - this.#early.size))
  }

  /** How many more claims could begin immediately. */
  get free(): number {
    return Math.min(this.room, this.#parts.concurrency - this.#used - this.#waiting.size)
  }

  /** How many runs the node would claim early. They need no slot until they are due. */
  get roomForEarly(): number {
    const most = Math.min(this.#waiting.soonOver(this.#parts.concurrency), MAX_EARLY)
    return most - this.#used - this.#waiting.size - this.#early.size
  }

  /** Starts a claim, or makes it wait for a slot. */
  take(taken: Taken): void {
    if (this.#used < this.#parts.concurrency) this.#start(taken)
    else this.#waiting.push(taken)
  }

  /** Keeps early claims until they are due. @param ms milliseconds until the claims are due */
  takeEarly(early: readonly Taken[], ms: number): void {
    this.#early.add(early, ms)
  }

  /**
   * Frees a slot.
   *
   * @param isNextDue whether the next waiting claim gets the slot
   */
  release(isNextDue: boolean): void {
    this.#used -= 1
    if (isNextDue) this.fill()
  }

  /** Starts waiting claims in free slots. If the number of slots has grown, several can start; if it has shrunk, none. */
  fill(): void {
    while (this.#used < this.#parts.concurrency) {
      const next = this.#waiting.shift()
      if (!next) return
      this.#start(next)
    }
  }

  /** Records how long a handler took. */
  took(ms: number): void {
    this.#waiting.took(ms)
  }

  /** Returns to the queue all claims that have not begun. */
  handOver(): void {
    this.#waiting.giveBackAll()
    for (const taken of this.#early.takeAll()) this.#parts.giveBack(taken)
  }

  #start(taken: Taken): void {
    this.#used += 1
    this.#pace.add(taken)
  }
}
