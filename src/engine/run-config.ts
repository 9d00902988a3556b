import { describe, PikoError } from '../errors.ts'
import { type JobDefinition } from '../job/spec.ts'

/**
 * A run's config: the overrides of the run, parsed by the job's schema, which fills in the defaults.
 *
 * @throws PikoError `CONFIG_INVALID` with every problem, each with its path and what was expected
 */
export function parseConfig(job: JobDefinition, overrides: unknown): unknown {
  const schema = job.spec.config as JobConfigSchema | undefined
  if (!schema) return plainConfig(job, overrides ?? {})
  const result = schema.safeParse(overrides ?? {})
  if (result.success) return result.data
  const problems = result.error.issues.map(
    (issue) => `${issue.path.map(String).join('.') || 'config'}: ${issue.message}`,
  )
  throw new PikoError(
    'CONFIG_INVALID',
    `the config ${describe(overrides ?? {})} of job "${job.id}" does not fit its schema: ${problems.join('; ')}`,
    { details: { jobId: job.id, problems } },
  )
}

function plainConfig(job: JobDefinition, config: unknown): unknown {
  if (typeof config === 'object' && !Array.isArray(config)) return config
  throw new PikoError('CONFIG_INVALID', `the config of job "${job.id}" is ${describe(config)}; expected an object`, {
    details: { jobId: job.id },
  })
}

/**
 * The config of a run before it is parsed: what was saved for the job, and over it, key by key, what the run was asked with.
 */
export function mergeConfig(saved: unknown, overrides: unknown): unknown {
  if (saved === undefined) return overrides
  return isRecord(saved) && (overrides === undefined || isRecord(overrides)) ? { ...saved, ...overrides } : overrides
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The part of a zod schema that is used here. */
interface JobConfigSchema {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: unknown }
    | {
        readonly success: false
        readonly error: { readonly issues: readonly { path: readonly PropertyKey[]; message: string }[] }
      }
}
