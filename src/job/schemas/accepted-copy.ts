import { describe, type ErrorCode, PikoError } from '../../errors.ts'
import { jsonCopy, type JsonPath, type JsonRemark, pathText } from '../../json/json-copy.ts'
import { assertFits, type Storing, unstorable } from '../../json/storable.ts'
import type { SchemaAnswer, SchemaIssue } from './schema-check.ts'

/** A value of a run that a schema checks. */
export interface CheckedValue {
  readonly jobId: string
  readonly what: 'config' | 'input' | 'output'
  readonly code: ErrorCode
}

/**
 * Returns the value as the database will return it, after the schema has accepted it. The schema's own result is not stored.
 *
 * @param check checks the copy with the schema
 * @param whole converts the copy to the schema's input
 * @throws PikoError naming every value that JSON would lose or replace, and every problem of the schema
 */
export function acceptedCopy(
  given: unknown,
  about: CheckedValue & { readonly maxBytes: number },
  check: (value: unknown) => SchemaAnswer,
  whole: (copy: unknown) => unknown = (copy) => copy,
): unknown {
  const storing: Storing = about
  const { value, problems, converted } = jsonCopy(given, about.maxBytes)
  const lost = problems.map(({ path, text }) => `${pathText(about.what, path)} ${text}`)
  if (problems.length === 0) assertFits(value, storing)
  const checked = whole(value)
  const answer = check(checked)
  const issues = (answer.issues ?? []).filter(({ path }) => !problems.some((problem) => touches(problem.path, path)))
  const texts = issues.map((issue) => issueText(about, issue, converted))
  if (lost.length > 0) throw unstorable(storing, [...lost, ...texts])
  if (texts.length > 0) throw misfit(about, checked, texts, answer.issues && answer.cause)
  return value
}

/**
 * Returns the schema's result for a stored value.
 *
 * @throws PikoError with every problem, each with its path and what was expected
 */
export function parsedBy(about: CheckedValue, value: unknown, answer: SchemaAnswer): unknown {
  if (!answer.issues) return answer.data
  throw misfit(
    about,
    value,
    answer.issues.map((issue) => issueText(about, issue)),
    answer.cause,
  )
}

function misfit(
  { jobId, what, code }: CheckedValue,
  value: unknown,
  problems: readonly string[],
  cause?: unknown,
): PikoError {
  return new PikoError(
    code,
    `the ${what} ${describe(value)} of job "${jobId}" does not match its schema: ${problems.join('; ')}`,
    { ...(cause !== undefined && { cause }), details: { jobId, problems } },
  )
}

function issueText(
  { what }: CheckedValue,
  { path, message }: SchemaIssue,
  converted: readonly JsonRemark[] = [],
): string {
  const text = `${path.map(String).join('.') || what}: ${message}`
  const cause = converted.find((remark) => touches(remark.path, path))
  if (!cause) return text
  return cause.text === 'Date'
    ? `${text} (a Date was passed, which JSON stores as a string: use z.coerce.date() or z.iso.datetime() in the schema)`
    : `${text} (a ${cause.text} was passed, which JSON stores as the result of its toJSON)`
}

/** Returns whether two places in a JSON value are the same, or one is inside the other. */
function touches(one: JsonPath, other: readonly PropertyKey[]): boolean {
  const length = Math.min(one.length, other.length)
  return one.slice(0, length).every((key, index) => String(key) === String(other[index]))
}
