import { type ConfigStore, type ConfigVersion } from '../../store/jobs/config-store.ts'
import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'
import { LoopService } from '../loop/loop-service.ts'

/**
 * Knows the config in force for every job. Each poll sends one short query for all of them. The last known config stays in force while the
 * database is unavailable or this service restarts.
 */
export class ConfigWatcher extends LoopService {
  readonly #configs: ConfigStore
  readonly #pollMs: number
  readonly #time: Clock
  readonly #events: Events
  #mark = ''
  #isFirst = true
  /** How many milliseconds the database's clock is ahead of this process's clock. */
  #aheadMs = 0
  #versions: ReadonlyMap<string, readonly ConfigVersion[]> = new Map()

  constructor(configs: ConfigStore, pollMs: number, clock: Clock, events: Events) {
    super('config-watcher', clock, events)
    this.#configs = configs
    this.#pollMs = pollMs
    this.#time = clock
    this.#events = events
  }

  /** The version in force; undefined if no config was set for the job. */
  inForce(jobId: string): ConfigVersion | undefined {
    const now = this.#time.now() + this.#aheadMs
    return this.#versions.get(jobId)?.findLast(({ effectiveFrom }) => effectiveFrom.getTime() <= now)
  }

  /** Reads the configs again immediately. */
  async refresh(): Promise<void> {
    const { now, mark } = await this.#configs.state()
    this.#aheadMs = now.getTime() - this.#time.now()
    if (mark === this.#mark) return
    const before = this.#versions
    const { versions: known, isAnyBroken } = await this.#configs.inForce()
    this.#versions = Map.groupBy(known, ({ jobId }) => jobId)
    const isFirst = this.#isFirst
    this.#isFirst = false
    // Forgets the mark while a row is broken, because correcting the row does not create a new version.
    this.#mark = isAnyBroken ? '' : mark
    if (isFirst) return
    for (const [jobId, versions] of this.#versions) {
      const { version, effectiveFrom } = versions.at(-1)!
      if (version === before.get(jobId)?.at(-1)?.version) continue
      this.#events.emit('config.changed', { jobId, version, effectiveFrom })
    }
  }

  /** Loads the configs before any run begins. */
  protected override async onStart(): Promise<void> {
    await this.refresh()
    await super.onStart()
  }

  protected override async step(): Promise<number> {
    await this.refresh()
    return this.#pollMs
  }
}
