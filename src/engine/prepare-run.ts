import { PikoError, toError } from '../errors.ts'
import { mergeConfig, parseConfig, storableConfig } from '../job/schemas/run-config.ts'
import type { JobDefinition } from '../job/spec.ts'
import type { ConfigVersion } from '../store/jobs/config-store.ts'
import type { NewRun } from '../store/runs/new-run.ts'
import { tracing } from '../tracing/tracing.ts'
import { withKeys } from './admission-keys.ts'

/** Applies the current config to new runs before they are stored, and to runs that begin. */
export class PrepareRun {
  readonly #inForce: (jobId: string) => ConfigVersion | undefined
  readonly #onChange: (jobId: string, listener: () => void) => () => void

  /**
   * @param inForce returns the current config version of a job, if one was saved
   * @param onChange calls the listener when the version changes; returns a function that removes the listener
   */
  constructor(
    inForce: (jobId: string) => ConfigVersion | undefined,
    onChange: (jobId: string, listener: () => void) => () => void = () => () => {},
  ) {
    this.#inForce = inForce
    this.#onChange = onChange
  }

  /** Returns the number of the current version; undefined if none was saved. */
  versionOf(jobId: string): number | undefined {
    return this.#inForce(jobId)?.version
  }

  /** Calls `listener` when the job's config has another version. Returns a function that removes the listener. */
  onChange(jobId: string, listener: () => void): () => void {
    return this.#onChange(jobId, listener)
  }

  /**
   * Checks a run's own config and returns its stored form.
   *
   * @throws PikoError `CONFIG_INVALID`
   */
  storable(job: JobDefinition, config: unknown): unknown {
    return storableConfig(job, config, this.#inForce(job.id)?.config)
  }

  /**
   * Adds the keys of the job's limits to a run. A run that a caller requests also gets the caller's trace; the engine's own runs have none.
   */
  keyed<R extends NewRun>(job: JobDefinition, run: R): R {
    const keyed = withKeys(job, run, this.#inForce(job.id)?.config)
    const trace = run.kind === 'manual' ? tracing()?.context() : undefined
    return trace === undefined ? keyed : { ...keyed, trace }
  }

  /**
   * Returns the config that a handler receives.
   *
   * @param own the config that the run was stored with
   * @throws PikoError `CONFIG_INVALID`, which names the version in force
   */
  configOf(job: JobDefinition, own: unknown): unknown {
    const saved = this.#inForce(job.id)
    try {
      return parseConfig(job, mergeConfig(saved?.config, own))
    } catch (thrown) {
      throw withVersion(toError(thrown), saved)
    }
  }
}

function withVersion(error: Error, saved: ConfigVersion | undefined): Error {
  if (!saved || !(error instanceof PikoError)) return error
  const message = `${error.message} (version ${saved.version} of the job's config is in force: piko configs history ${saved.jobId})`
  return new PikoError(error.code, message, { details: { ...error.details, version: saved.version } })
}
