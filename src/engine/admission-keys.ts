import { describe, PikoError } from '../errors.ts'
import { answerOf, type OptionFunction } from '../option-function.ts'
import type { AnyAdmissible, JobDefinition } from '../job/spec.ts'
import { exactKey, isKey } from '../store/values/exact-key.ts'
import { mergeConfig, parseConfig } from '../job/schemas/run-config.ts'
import type { NewRun } from '../store/runs/new-run.ts'

const LONGEST_KEY = 128

/**
 * Adds the keys of the job's limits to a run before the run is stored.
 *
 * @param saved the job's current config
 * @throws PikoError `CONFIG_INVALID`; `JOB_INVALID` if a key function throws or returns anything but a string or undefined; `USAGE` if the
 * string is not a valid key
 */
export function withKeys<R extends NewRun>(job: JobDefinition, run: R, saved: unknown): R {
  const { concurrencyKey, rateKey } = job.policy
  if (!concurrencyKey && !rateKey) return run
  const config = parseConfig(job, mergeConfig(saved, run.config))
  const admissible: AnyAdmissible = { config, input: run.input, window: run.window }
  return {
    ...run,
    concurrencyKey: keyOf(job, 'concurrency.key', concurrencyKey, admissible),
    rateKey: keyOf(job, 'rate.key', rateKey, admissible),
  }
}

function keyOf(
  { id }: JobDefinition,
  option: string,
  key: ((run: AnyAdmissible) => unknown) | undefined,
  run: AnyAdmissible,
): string | undefined {
  if (!key) return undefined
  const asked: OptionFunction<string | undefined> = {
    ...{ jobId: id, option, isAnswer, expected: EXPECTED },
    next: 'fix the function: no run is stored without its key',
  }
  const text = answerOf(asked, () => key(run))
  if (text === undefined) return undefined
  if (isKey(text, LONGEST_KEY)) return exactKey(text)
  // The function computed the string from the caller's request, so this is a USAGE error.
  throw new PikoError('USAGE', `${option} of job "${id}" returned ${describe(text)}; expected ${EXPECTED}`, {
    details: { jobId: id, option },
  })
}

const EXPECTED = `a string of 1 to ${LONGEST_KEY} characters (without lone surrogates; one character less if it ends with a space), or undefined for no limit`

function isAnswer(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
