import { PikoError } from '../errors.ts'
import { safely } from '../errors-read.ts'
import { changing } from '../engine/refused-changes.ts'
import type { AnyJob, JobRef, KnownJob, TypesOf } from '../job/job-types.ts'
import { parseConfig, storableConfig } from '../job/schemas/run-config.ts'
import { unknownKeys } from '../job/schemas/unknown-keys.ts'
import type { NodeConfig } from '../store/jobs/config-ack-store.ts'
import type { ConfigVersion } from '../store/jobs/config-store.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { Waiters } from '../signals/waiters.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { optionsOf } from './call-options.ts'
import { configChanges, type ConfigDiff, type ConfigDiffOptions, type ConfigHistory } from './views/config-diff.ts'
import { jobIdOf } from './job-id.ts'
import type { ConfigWatch } from './operation-options.ts'
import type { Reach } from './reach.ts'

/** The current version on this node, and the version that each live node uses. */
export interface ConfigStatus extends ConfigVersion {
  /** The live nodes whose code has the job, oldest first, each with the version that it uses. */
  readonly nodes: readonly NodeConfig[]
}

/** A version that was saved. */
export interface SavedConfig extends ConfigVersion {
  /** A sentence for each key that the schema does not know and leaves out. */
  readonly warnings: readonly string[]
}

/** The config that a run gets if it begins now. */
export interface CurrentConfig {
  /** The config with the defaults of the job's schema. */
  readonly config: unknown
  /** The number of the version; 0: there are only the defaults. */
  readonly version: number
}

type ConfigReach = Pick<Reach, 'store' | 'registry' | 'configs' | 'prepare' | 'shared'>

/**
 * `app.configs`: configuration of jobs at run time, without a deploy. Nodes that can be notified use a new version within milliseconds, all
 * others within two polls.
 */
export class Configs {
  readonly #reach: () => ConfigReach

  constructor(reach: () => ConfigReach) {
    this.#reach = reach
  }

  /**
   * Returns the current version on this node, and the version that each live node uses; undefined if there are only the schema's defaults.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async show<const J extends AnyJob>(asked: KnownJob<J>): Promise<ConfigStatus | undefined> {
    const jobId = jobIdOf('app.configs.show', asked)
    const { configs, store } = this.#reach()
    await this.#assertKnown(jobId)
    const current = configs.inForce(jobId)
    if (!current) return undefined
    const { version, config, effectiveFrom, createdAt } = current
    return { jobId, version, config, effectiveFrom, createdAt, nodes: await store.configAcks.list(jobId) }
  }

  /**
   * Lists versions of a job's config, newest first.
   *
   * @param limit default 100
   * @throws PikoError `JOB_UNKNOWN`
   */
  async history<const J extends AnyJob>(
    asked: KnownJob<J>,
    limit?: number,
    options: ConfigHistory = {},
  ): Promise<ConfigVersion[]> {
    const { before } = optionsOf('configs.history', options)
    const jobId = jobIdOf('app.configs.history', asked)
    const { store } = this.#reach()
    await this.#assertKnown(jobId)
    return store.configs.history(jobId, limit, before)
  }

  /**
   * Returns the values that differ between two versions of a job's config.
   *
   * @throws PikoError `JOB_UNKNOWN`; `CONFIG_UNKNOWN` if a version is not stored
   */
  async diff<const J extends AnyJob>(asked: KnownJob<J>, options: ConfigDiffOptions = {}): Promise<ConfigDiff> {
    const jobId = jobIdOf('app.configs.diff', asked)
    const { store } = this.#reach()
    await this.#assertKnown(jobId)
    const given = optionsOf('configs.diff', options)
    const [newest] = await store.configs.history(jobId, 1)
    const to = given.to ?? newest?.version ?? 0
    const from = given.from ?? Math.max(0, to - 1)
    const configOf = async (version: number): Promise<unknown> => {
      if (version === 0) return {}
      const [found] = await store.configs.history(jobId, 1, version + 1)
      if (found?.version === version) return found.config
      throw new PikoError('CONFIG_UNKNOWN', `job "${jobId}" has no version ${version} of its config`, {
        details: { jobId, version },
      })
    }
    return { jobId, from, to, changes: configChanges(await configOf(from), await configOf(to)) }
  }

  /**
   * Adds a version of a job's config after the job's schema has accepted it. The schema checks the value as the database will return it, so
   * a `Date` is a string. A run's own overrides take precedence over this version, and this version takes precedence over the schema's
   * defaults.
   *
   * @param options.effectiveFrom when the version takes effect, on the database's clock; default: now
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `USAGE`, `CHANGE_REFUSED`
   */
  set<const J extends JobRef>(
    job: J,
    config: TypesOf<J>['config'],
    options?: { readonly effectiveFrom?: InstantInput },
  ): Promise<SavedConfig>
  async set(
    asked: JobRef,
    config: unknown,
    options: { readonly effectiveFrom?: InstantInput } = {},
  ): Promise<SavedConfig> {
    const jobId = jobIdOf('app.configs.set', asked)
    const { registry, store } = this.#reach()
    const { effectiveFrom: from } = optionsOf('configs.set', options)
    const job = registry.get(jobId)
    const stored = storableConfig(job, config ?? {})
    const effectiveFrom = from === undefined ? undefined : instantOf('effectiveFrom', from)
    const version = await this.#known(jobId, store.configs.save(jobId, stored, effectiveFrom))
    return { ...version, warnings: unknownKeys(job.spec.config as object | undefined, stored) }
  }

  /**
   * Adds a version that equals an earlier one, if the schema still accepts it.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_UNKNOWN`, `CONFIG_INVALID`, `CHANGE_REFUSED`
   */
  async rollback<const J extends AnyJob>(asked: KnownJob<J>, version: number): Promise<ConfigVersion> {
    const jobId = jobIdOf('app.configs.rollback', asked)
    const { registry, store } = this.#reach()
    const job = registry.get(jobId)
    return this.#known(
      jobId,
      store.configs.rollback(jobId, version, (config) => void parseConfig(job, config)),
    )
  }

  /**
   * Yields the current config of a job, then each new one when it takes effect. A slow reader skips versions, as with `watch` of a shared
   * value. Leaves out a version that the job's schema refuses.
   *
   * @throws PikoError `JOB_UNKNOWN`, `USAGE`
   * @example
   * for await (const { config, version } of app.configs.watch('sync_orders', { signal })) apply(config)
   */
  async *watch<const J extends AnyJob>(
    asked: KnownJob<J>,
    options: ConfigWatch = {},
  ): AsyncGenerator<CurrentConfig, void, undefined> {
    const jobId = jobIdOf('app.configs.watch', asked)
    const { signal } = optionsOf('configs.watch', options)
    const { registry, prepare, shared } = this.#reach()
    const job = registry.get(jobId)
    const linked = new LinkedSignal(shared.stopped, signal)
    const changes = new Waiters<undefined>()
    let isNew = true
    const off = prepare.onChange(jobId, () => {
      isNew = true
      changes.tell(undefined)
    })
    try {
      while (!linked.signal.aborted) {
        if (isNew) {
          isNew = false
          const current = safely(
            () => ({ config: prepare.configOf(job, undefined), version: prepare.versionOf(jobId) ?? 0 }),
            undefined,
          )
          if (current) yield current
        } else await changes.next(linked.signal).catch(() => undefined)
      }
    } finally {
      off()
      linked.release()
    }
  }

  /**
   * Checks that the job exists, in this process's code or in the database. Reading does not need the code.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async #assertKnown(jobId: string): Promise<void> {
    const { registry, store } = this.#reach()
    if (!registry.find(jobId) && !(await store.jobs.find(jobId))) registry.get(jobId)
  }

  async #known(jobId: string, saved: Promise<ConfigVersion>): Promise<ConfigVersion> {
    const version = await changing(`a config of job "${jobId}"`, 'piko_job_config', () => saved)
    await this.#reach().configs.saved(version)
    return version
  }
}
