import { setTimeout as sleep } from 'node:timers/promises'
import { type Claim, type Transition } from '../job/run.ts'
import { type Finish, type FinishResult, MOST_RUNS, type RunStore } from '../store/run-store.ts'
import { type Events } from '../telemetry/events.ts'
import { Batcher } from './batcher.ts'
import { reportFailure } from './loop-failure.ts'

interface Item extends Finish {
  readonly nodeId: string
}

/**
 * `cancelled`: the run was to be queued again, and ended because somebody had asked for it. `lost`: the claim was no longer
 * valid; nothing was written.
 */
export type Stored = 'stored' | 'cancelled' | 'lost'

const RETRY_MS = 200

/**
 * Writes the ends of runs, many a statement, guarded by their fences. While the database does not answer it keeps trying:
 * if the node's lease ends meanwhile, another node runs the work again and the late write is refused.
 */
export class Completer {
  readonly #runs: Pick<RunStore, 'finish'>
  readonly #events: Events
  readonly #batcher: Batcher<Item, Stored>
  #isAbandoned = false

  /** @param isMoreComing whether runs begin, and may end, in the next turn of the event loop: their ends are written together */
  constructor(runs: Pick<RunStore, 'finish'>, events: Events, isMoreComing?: () => boolean) {
    this.#runs = runs
    this.#events = events
    this.#batcher = new Batcher((items) => this.#write(items), {
      largest: MOST_RUNS,
      ...(isMoreComing && { isMoreComing }),
    })
  }

  /** @param stored told how it went; `'lost'` as well when the process ends before it could be written */
  finish(nodeId: string, claim: Claim, transition: Transition, stored: (how: Stored) => void): void {
    // The failure was told by the event, and the process ends: the lease does the rest.
    this.#batcher.push({ nodeId, claim, transition }, stored, () => stored('lost'))
  }

  /** Gives up on a database that does not answer, at the end of a shutdown. */
  abandon(): void {
    this.#isAbandoned = true
  }

  async #write(items: readonly Item[]): Promise<Stored[]> {
    const others = new Map<Claim, Stored>()
    for (const [nodeId, finishes] of Map.groupBy(items, (item) => item.nodeId)) {
      const { lost, cancelled } = await this.#persist(nodeId, finishes)
      for (const claim of lost) others.set(claim, 'lost')
      for (const claim of cancelled) others.set(claim, 'cancelled')
    }
    return items.map((item) => others.get(item.claim) ?? 'stored')
  }

  async #persist(nodeId: string, finishes: readonly Finish[]): Promise<FinishResult> {
    for (let failures = 1; ; failures++) {
      try {
        const result = await this.#runs.finish(nodeId, finishes)
        if (failures > 1) this.#events.emit('loop.recovered', { loop: 'completer', failures: failures - 1 })
        return result
      } catch (thrown) {
        if (this.#isAbandoned) throw thrown
        reportFailure(this.#events, { loop: 'completer', thrown, retryInMs: RETRY_MS, failures })
        await sleep(RETRY_MS)
      }
    }
  }
}
