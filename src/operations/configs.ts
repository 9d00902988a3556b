import { type JobRegistry } from '../job/registry.ts'
import { type ConfigStore, type ConfigVersion } from '../store/jobs/config-store.ts'
import { optionsOf } from './call-options.ts'
import { type ConfigWatcher } from '../engine/node/config-watcher.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { parseConfig, storableConfig } from '../job/run-config.ts'

/** Configuration of jobs at run time: every node takes a new version up within a poll, without a deploy. */
export class Configs {
  readonly #registry: JobRegistry
  readonly #store: ConfigStore
  readonly #watcher: ConfigWatcher

  constructor(registry: JobRegistry, store: ConfigStore, watcher: ConfigWatcher) {
    this.#registry = registry
    this.#store = store
    this.#watcher = watcher
  }

  /**
   * Adds a version of a job's config, once the job's schema has accepted it as the database will hand it back: a `Date` is text then.
   * A run's own overrides take precedence over it, and it over the schema's defaults.
   *
   * @param options.effectiveFrom when it comes into force, on the database's clock; default: now
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `USAGE`
   */
  async save(
    jobId: string,
    config: unknown,
    options: { readonly effectiveFrom?: InstantInput } = {},
  ): Promise<ConfigVersion> {
    const { effectiveFrom: from } = optionsOf('configs.save', options)
    const stored = storableConfig(this.#registry.get(jobId), config ?? {})
    const effectiveFrom = from === undefined ? undefined : instantOf('effectiveFrom', from)
    return this.#known(this.#store.save(jobId, stored, effectiveFrom))
  }

  /**
   * Adds a version that says what an earlier one said, if the schema still accepts that.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_UNKNOWN`, `CONFIG_INVALID`
   */
  async rollback(jobId: string, version: number): Promise<ConfigVersion> {
    const job = this.#registry.get(jobId)
    return this.#known(this.#store.rollback(jobId, version, (config) => void parseConfig(job, config)))
  }

  /** Versions of a job, newest first; 100 unless told otherwise. */
  async history(jobId: string, limit?: number): Promise<ConfigVersion[]> {
    this.#registry.get(jobId)
    return this.#store.history(jobId, limit)
  }

  /** The version in force on this node, or undefined: the schema's defaults count. */
  current(jobId: string): ConfigVersion | undefined {
    this.#registry.get(jobId)
    return this.#watcher.inForce(jobId)
  }

  async #known(saved: Promise<ConfigVersion>): Promise<ConfigVersion> {
    const version = await saved
    await this.#watcher.refresh()
    return version
  }
}
