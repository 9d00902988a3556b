import type { ConfigStore, ConfigVersion } from '../../store/jobs/config-store.ts'
import type { Settings } from '../../settings/settings.ts'
import type { Events } from '../../events.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

/** The number of polls for work between two looks for a new config. */
const POLLS = 2

export interface ConfigWatcherParts extends LoopServiceParts {
  readonly configs: ConfigStore
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
  readonly events: Events
}

/**
 * Knows the config in force for every job. Each poll sends one short query for all of them. The last known config stays in force while the
 * database is unavailable or this service restarts.
 */
export class ConfigWatcher extends LoopService {
  readonly #parts: ConfigWatcherParts
  #mark = ''
  #isFirst = true
  /** How many milliseconds the database's clock is ahead of this process's clock. */
  #aheadMs = 0
  #versions: ReadonlyMap<string, readonly ConfigVersion[]> = new Map()

  constructor(parts: ConfigWatcherParts) {
    super('config-watcher', parts)
    this.#parts = parts
  }

  /** The version in force; undefined if no config was set for the job. */
  inForce(jobId: string): ConfigVersion | undefined {
    const now = this.#parts.clock.now() + this.#aheadMs
    return this.#versions.get(jobId)?.findLast(({ effectiveFrom }) => effectiveFrom.getTime() <= now)
  }

  /** Reads the configs again immediately. */
  async refresh(): Promise<void> {
    const { now, mark } = await this.#parts.configs.state()
    this.#aheadMs = now.getTime() - this.#parts.clock.now()
    if (mark === this.#mark) return
    const before = this.#versions
    const { versions: known, isAnyBroken } = await this.#parts.configs.inForce()
    this.#versions = Map.groupBy(known, ({ jobId }) => jobId)
    const isFirst = this.#isFirst
    this.#isFirst = false
    // Forgets the mark while a row is broken, because correcting the row does not create a new version.
    this.#mark = isAnyBroken ? '' : mark
    if (isFirst) return
    for (const [jobId, versions] of this.#versions) {
      const { version, effectiveFrom } = versions.at(-1)!
      if (version === before.get(jobId)?.at(-1)?.version) continue
      this.#parts.events.emit('config.changed', { jobId, version, effectiveFrom })
    }
  }

  /** Loads the configs before any run begins. */
  protected override async onStart(): Promise<void> {
    await this.refresh()
    await super.onStart()
  }

  protected override async step(): Promise<number> {
    await this.refresh()
    return this.#parts.pollIntervalMs * POLLS
  }
}
