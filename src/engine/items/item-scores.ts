import { LRUCache } from 'lru-cache'
import type { Clock } from '../../clock.ts'
import type { Score } from '../../job/items/item-context.ts'
import type { ScoreChange } from '../../store/items/item-scores.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { halved } from '../../store/statements/halved.ts'
import type { LoopHealth } from '../loop/loop-health.ts'

const EVERY_MS = 1_000
const FRESH_MS = 1_000
/** The maximum number of groups with cached scores. */
const MAX_READS = 1_000
/** The maximum number of outcomes that are waiting for the database. Further ones are lost. */
const MAX_WAITING = 10_000

export interface ItemScoresParts {
  readonly store: Pick<ItemStore, 'addScores' | 'scores'>
  readonly clock: Clock
  readonly loops: LoopHealth
}

interface Read {
  readonly at: number
  readonly scores: Promise<ReadonlyMap<string, Score>>
}

/** Collects the outcomes that items of this node report, stores them once per second, and reads scores. */
export class ItemScores {
  readonly #parts: ItemScoresParts
  #waiting = new Map<string, ScoreChange & { outcomes: { ok: boolean; ms: number | undefined }[] }>()
  #count = 0
  #isWorking = false
  readonly #reads = new LRUCache<string, Read>({ max: MAX_READS })

  constructor(parts: ItemScoresParts) {
    this.#parts = parts
  }

  add(jobId: string, group: string, name: string, outcome: { ok: boolean; ms: number | undefined }): void {
    if (this.#count >= MAX_WAITING) return
    const key = `${jobId}\0${group}\0${name}`
    const known = this.#waiting.get(key)
    if (known) known.outcomes.push(outcome)
    else this.#waiting.set(key, { jobId, group, name, outcomes: [outcome] })
    this.#count += 1
    if (!this.#isWorking) void this.#work()
  }

  of(jobId: string, group: string): Promise<ReadonlyMap<string, Score>> {
    const key = `${jobId}\0${group}`
    const now = this.#parts.clock.monotonic()
    const known = this.#reads.get(key)
    if (known && now - known.at < FRESH_MS) return known.scores
    const scores = this.#parts.store.scores(jobId, group).then((rows) => new Map(rows.map((row) => [row.name, row])))
    this.#reads.set(key, { at: now, scores })
    scores.catch(() => this.#reads.delete(key))
    return scores
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let failures = 0; this.#count > 0;) {
      await this.#parts.clock.sleep(EVERY_MS)
      const changes = [...this.#waiting.values()]
      this.#waiting = new Map()
      this.#count = 0
      try {
        await halved(
          changes,
          (some) => this.#parts.store.addScores(some),
          (change, refusal) => this.#drop(change, refusal),
        )
        if (failures > 0) this.#parts.loops.recovered('item-scores', failures)
        failures = 0
      } catch (thrown) {
        failures += 1
        this.#parts.loops.failed({ loop: 'item-scores', thrown, retryInMs: EVERY_MS, failures })
        for (const { jobId, group, name, outcomes } of changes)
          for (const outcome of outcomes) this.add(jobId, group, name, outcome)
      }
    }
    this.#isWorking = false
  }

  /** Reports outcomes that the database refuses. They are lost, because it would refuse them again. */
  #drop({ jobId, group, name }: ScoreChange, cause: unknown): void {
    const thrown = new Error(`the outcomes of ${name} in the scores ${group} of job ${jobId} could not be stored`, {
      cause,
    })
    this.#parts.loops.failed({ loop: 'item-scores', thrown, retryInMs: EVERY_MS, failures: 1 })
  }
}
