import { describe, PikoError } from '../errors.ts'
import { type JobDefinition } from './spec.ts'
import { jsonCopy, type JsonPath, type JsonRemark, pathText } from '../json/json-copy.ts'
import { MAX_CONFIG_BYTES } from '../json/json.ts'
import { assertFits, type Storing, unstorable } from '../json/storable.ts'
import { checkedBy, type SchemaAnswer, type SchemaIssue } from './schema-check.ts'

/**
 * A run's config: the job's schema parses the run's overrides and adds the defaults.
 *
 * @throws PikoError `CONFIG_INVALID` with every problem, each with its path and what was expected
 */
export function parseConfig(job: JobDefinition, overrides: unknown): unknown {
  const answer = checked(job, overrides)
  if (!answer.issues) return answer.data
  throw misfit(
    job,
    overrides,
    answer.issues.map((issue) => issueText(issue)),
    answer.cause,
  )
}

/**
 * The overrides as the database will return them, over the job's saved config, once the job's schema has accepted them. The schema's output
 * is not stored: the start of the run parses the overrides again.
 *
 * @throws PikoError `CONFIG_INVALID` naming every place that JSON would lose or replace, and every problem of the schema
 */
export function storableConfig(job: JobDefinition, overrides: unknown, saved?: unknown): unknown {
  if (overrides === undefined) {
    parseConfig(job, saved)
    return undefined
  }
  const storing: Storing = { jobId: job.id, what: 'config', maxBytes: MAX_CONFIG_BYTES, code: 'CONFIG_INVALID' }
  const { value, problems, converted } = jsonCopy(overrides, storing.maxBytes)
  const lost = problems.map(({ path, text }) => `${pathText('config', path)} ${text}`)
  if (problems.length === 0) assertFits(value, storing)
  const merged = mergeConfig(saved, value)
  const answer = checked(job, merged)
  const issues = (answer.issues ?? []).filter(({ path }) => !problems.some((problem) => touches(problem.path, path)))
  const texts = issues.map((issue) => issueText(issue, converted))
  if (lost.length > 0) throw unstorable(storing, [...lost, ...texts])
  if (texts.length > 0) throw misfit(job, merged, texts, answer.issues && answer.cause)
  return value
}

/** The config of a run before parsing: the job's saved config, overridden key by key by the run's own. */
export function mergeConfig(saved: unknown, overrides: unknown): unknown {
  if (saved === undefined) return overrides
  return isRecord(saved) && (overrides === undefined || isRecord(overrides)) ? { ...saved, ...overrides } : overrides
}

function checked(job: JobDefinition, overrides: unknown): SchemaAnswer {
  const config = overrides ?? {}
  if (job.spec.config) return checkedBy(job.spec.config as object, config)
  if (typeof config === 'object' && !Array.isArray(config)) return { data: config }
  throw new PikoError('CONFIG_INVALID', `the config of job "${job.id}" is ${describe(config)}; expected an object`, {
    details: { jobId: job.id },
  })
}

function misfit(job: JobDefinition, config: unknown, problems: readonly string[], cause?: unknown): PikoError {
  return new PikoError(
    'CONFIG_INVALID',
    `the config ${describe(config ?? {})} of job "${job.id}" does not fit its schema: ${problems.join('; ')}`,
    { ...(cause !== undefined && { cause }), details: { jobId: job.id, problems } },
  )
}

function issueText({ path, message }: SchemaIssue, converted: readonly JsonRemark[] = []): string {
  const text = `${path.map(String).join('.') || 'config'}: ${message}`
  const cause = converted.find((remark) => touches(remark.path, path))
  if (!cause) return text
  return cause.text === 'Date'
    ? `${text} (a Date was passed, which JSON stores as text: use z.coerce.date() or z.iso.datetime() in the schema)`
    : `${text} (a ${cause.text} was passed, which JSON stores as the result of its toJSON)`
}

/** Whether one of the places lies within the other. */
function touches(one: JsonPath, other: readonly PropertyKey[]): boolean {
  const length = Math.min(one.length, other.length)
  return one.slice(0, length).every((key, index) => String(key) === String(other[index]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
