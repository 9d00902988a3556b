import type { z } from 'zod'
import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { withoutStrays } from '../strays.ts'
import { isSchema } from './on.ts'
import type { Route } from './routes.ts'

/**
 * Checks rows with their model, and returns the model's output.
 *
 * @param from the index of the first row in its write
 * @throws PikoError `SINK_ROW_INVALID` with the index of the first wrong row; `details.issues` contains zod's issues
 */
export function checkRows(
  sinkName: string,
  { model, modelName }: Route,
  rows: readonly unknown[],
  from = 0,
): unknown[] {
  const check = isSchema(model) ? schemaCheck(model as z.ZodType) : instanceCheck(model as abstract new () => unknown)
  const checkAt = (row: unknown, place: number): unknown => {
    const checked = check(row)
    if ('value' in checked) return checked.value
    const index = from + place
    throw new PikoError('SINK_ROW_INVALID', `sink ${sinkName}: row ${index} of ${modelName} ${checked.problem}`, {
      ...(checked.cause !== undefined && { cause: checked.cause }),
      details: { sink: sinkName, model: modelName, index, issues: checked.issues },
    })
  }
  return withoutStrays(
    () => rows.map(checkAt),
    () => false,
  )
}

interface Issue {
  readonly path: string
  readonly message: string
}

type Checked =
  | { readonly value: unknown }
  | { readonly problem: string; readonly issues: readonly Issue[]; readonly cause?: unknown }

function schemaCheck(schema: z.ZodType): (row: unknown) => Checked {
  return (row) => {
    try {
      const { success, data, error } = schema.safeParse(row)
      if (success) return { value: data }
      const issues = error.issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message }))
      const text = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
      const more = text.length > 3 ? `; and ${text.length - 3} more` : ''
      return { problem: `is wrong: ${text.slice(0, 3).join('; ')}${more}`, issues, cause: error }
    } catch (thrown) {
      // A refinement threw, or the schema has asynchronous parts.
      const cause = toError(thrown)
      return { problem: `could not be checked: ${messageOf(cause)}`, issues: [], cause }
    }
  }
}

function instanceCheck(model: abstract new () => unknown): (row: unknown) => Checked {
  return (row) => {
    if (row instanceof model) return { value: row }
    return { problem: `is ${describe(row)}; expected an instance of ${model.name}`, issues: [] }
  }
}
