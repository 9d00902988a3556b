import { storable } from '../../json/storable.ts'
import { acceptedCopy, type CheckedValue, parsedBy } from './accepted-copy.ts'
import { checkedBy } from './schema-check.ts'
import type { JobDefinition } from '../spec.ts'

/**
 * Returns the input of a run as the database will return it, after the job's schema has accepted it.
 *
 * @throws PikoError `INPUT_INVALID` if the job has a schema, otherwise `USAGE` for values that JSON would lose or replace
 */
export function storableInput(job: JobDefinition, input: unknown, maxBytes: number): unknown {
  const schema = job.spec.input as object | undefined
  if (!schema) return storable(input, { jobId: job.id, what: 'input', maxBytes })
  if (input === undefined) {
    parseInput(job, undefined)
    return undefined
  }
  return acceptedCopy(input, { ...aboutInput(job), maxBytes }, (value) => checkedBy(schema, value))
}

/**
 * Converts the stored input to the input that a handler receives.
 *
 * @throws PikoError `INPUT_INVALID`
 */
export function parseInput(job: JobDefinition, input: unknown): unknown {
  const schema = job.spec.input as object | undefined
  return schema ? parsedBy(aboutInput(job), input, checkedBy(schema, input)) : input
}

/**
 * Checks a handler's output with the job's schema, in the form in which it will be stored.
 *
 * @throws PikoError `OUTPUT_INVALID`
 */
export function assertOutput(job: JobDefinition, output: unknown): void {
  const schema = job.spec.output as object | undefined
  if (schema) parsedBy({ jobId: job.id, what: 'output', code: 'OUTPUT_INVALID' }, output, checkedBy(schema, output))
}

const aboutInput = ({ id }: JobDefinition): CheckedValue => ({ jobId: id, what: 'input', code: 'INPUT_INVALID' })
