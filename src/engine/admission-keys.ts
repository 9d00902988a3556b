import { describe, PikoError } from '../errors.ts'
import { type AnyAdmissible, type JobDefinition } from '../job/spec.ts'
import { exactKey, isKey } from '../store/exact-key.ts'
import { type NewRun } from '../store/run-store.ts'
import { mergeConfig, parseConfig } from './run-config.ts'

const LONGEST_KEY = 128

/**
 * A run to be stored, with the keys that its job's limits are counted by.
 *
 * @param saved the config that is in force for the job
 * @throws PikoError `CONFIG_INVALID`, `USAGE` for a key that is no text of at most 128 characters
 * @throws what the job's key functions throw
 */
export function withKeys<R extends NewRun>(job: JobDefinition, run: R, saved: unknown): R {
  const { concurrencyKey, rateKey } = job.policy
  if (!concurrencyKey && !rateKey) return run
  const config = parseConfig(job, mergeConfig(saved, run.config))
  const admissible: AnyAdmissible = { config, input: run.input, window: run.window }
  return {
    ...run,
    concurrencyKey: keyOf(job, 'concurrency.key', concurrencyKey?.(admissible)),
    rateKey: keyOf(job, 'rate.key', rateKey?.(admissible)),
  }
}

function keyOf(job: JobDefinition, option: string, key: unknown): string | undefined {
  if (key === undefined) return undefined
  if (isKey(key, LONGEST_KEY)) return exactKey(key)
  throw new PikoError(
    'USAGE',
    `${option} of job "${job.id}" returned ${describe(key)}; expected a text of 1 to ${LONGEST_KEY} characters (well-formed; one less if it ends with a blank), or undefined for no limit`,
    { details: { jobId: job.id, option } },
  )
}
