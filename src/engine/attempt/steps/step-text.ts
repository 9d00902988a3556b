import { PikoError } from '../../../errors.ts'
import { jsonCopy, pathText } from '../../../json/json-copy.ts'
import { smallCopy } from '../../../json/small-copy.ts'
import type { Claim } from '../../../run/run.ts'

/** The stored form of a step's result. Every later attempt gets it. */
export interface StepText {
  /** The result as JSON; null for undefined. */
  readonly json: string | null
  readonly value: unknown
}

/**
 * Converts a step's result to JSON. This attempt and later ones must get the same result. For example, a `Date` is refused, because a later
 * attempt would get a string.
 *
 * @throws PikoError `STEP_RESULT` that lists every value that JSON would lose or change, or says that the result is too large
 */
export function stepText(
  result: unknown,
  name: string,
  { runId, jobId }: Pick<Claim, 'runId' | 'jobId'>,
  maxBytes: number,
): StepText {
  if (result === undefined) return { json: null, value: undefined }
  const refused = (problem: string): PikoError =>
    new PikoError('STEP_RESULT', `the result of step "${name}" of run ${runId} of job "${jobId}" ${problem}`, {
      details: { runId, jobId, step: name },
    })
  const small = smallCopy(result, maxBytes)
  if (small !== undefined) return { json: JSON.stringify(small), value: small }
  const { value, problems, converted } = jsonCopy(result, maxBytes)
  const faults = [
    ...problems.map(({ path, text }) => `${pathText('result', path)} ${text}`),
    ...converted.map(
      ({ path, text }) =>
        `${pathText('result', path)} is a ${text}, which comes back as a string or a plain value: return that`,
    ),
  ]
  if (faults.length > 0) throw refused(`can't be stored as JSON: ${faults.join('; ')}`)
  const json = JSON.stringify(value)
  const bytes = Buffer.byteLength(json)
  if (bytes > maxBytes)
    throw refused(
      `is ${bytes} bytes of JSON; at most ${maxBytes} are stored: keep the data elsewhere and return a reference`,
    )
  return { json, value }
}
