import { describe, PikoError } from '../../errors.ts'
import { MAX_CONFIG_BYTES } from '../../json/json.ts'
import { acceptedCopy, type CheckedValue, parsedBy } from './accepted-copy.ts'
import { checkedBy, type SchemaAnswer } from './schema-check.ts'
import { withHints } from './unknown-keys.ts'
import type { JobDefinition } from '../spec.ts'

/**
 * Parses a run's config: the job's schema parses the run's overrides and adds the defaults.
 *
 * @throws PikoError `CONFIG_INVALID` with every problem, each with its path and what was expected
 */
export function parseConfig(job: JobDefinition, overrides: unknown): unknown {
  // Most jobs have no config. Their handlers get an empty object, a new one for each run.
  if (overrides === undefined && !job.spec.config) return {}
  return parsedBy(aboutConfig(job), overrides ?? {}, checked(job, overrides))
}

/**
 * Returns the overrides as the database will return them, after the job's schema has accepted them together with the job's saved config.
 * The schema's output is not stored, because the overrides are parsed again when the run starts.
 *
 * @throws PikoError `CONFIG_INVALID` naming every value that JSON would lose or replace, and every problem of the schema
 */
export function storableConfig(job: JobDefinition, overrides: unknown, saved?: unknown): unknown {
  if (overrides === undefined) {
    parseConfig(job, saved)
    return undefined
  }
  return acceptedCopy(
    overrides,
    { ...aboutConfig(job), maxBytes: MAX_CONFIG_BYTES },
    (config) => checked(job, config),
    (copy) => mergeConfig(saved, copy),
  )
}

const aboutConfig = ({ id }: JobDefinition): CheckedValue => ({ jobId: id, what: 'config', code: 'CONFIG_INVALID' })

/** Returns the config of a run before parsing: the job's saved config, in which the run's own config replaces single keys. */
export function mergeConfig(saved: unknown, overrides: unknown): unknown {
  if (saved === undefined) return overrides
  return isRecord(saved) && (overrides === undefined || isRecord(overrides)) ? { ...saved, ...overrides } : overrides
}

function checked(job: JobDefinition, overrides: unknown): SchemaAnswer {
  const config = overrides ?? {}
  if (job.spec.config) return withHints(job.spec.config as object, checkedBy(job.spec.config as object, config))
  if (typeof config === 'object' && !Array.isArray(config)) return { data: config }
  throw new PikoError('CONFIG_INVALID', `the config of job "${job.id}" is ${describe(config)}; expected an object`, {
    details: { jobId: job.id },
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
