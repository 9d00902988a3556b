import { z } from 'zod'
import { readInstant } from '../time/instant.ts'

/** The maximum number of entries in one page of a list. */
export const MAX_LIMIT = 500
export const DEFAULT_LIMIT = 100
const MAX_TEXT = 1_000
const MAX_JOB_ID = 255
const MAX_CURSOR = 500

type Shown = Readonly<Record<string, unknown>>

/** Returns the metadata that replaces a value's schema in the OpenAPI document. */
function shownAs(shown: Shown): { override: (context: { jsonSchema: object }) => void } {
  return {
    override: ({ jsonSchema }) => {
      for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key)
      Object.assign(jsonSchema, shown)
    },
  }
}

/** An instant in an answer: ISO 8601 in UTC. */
export const instant = z.iso.datetime().meta(shownAs({ type: 'string', format: 'date-time' }))

/** An instant in a request: ISO 8601 with a zone, by the same rule as in every call of the app. */
export const givenInstant = z
  .string()
  .refine((text) => 'date' in readInstant(text), {
    message: 'expected an instant with its zone, such as 2026-01-01T00:00:00Z',
  })
  .meta(
    shownAs({
      type: 'string',
      format: 'date-time',
      description: 'An instant with its zone, such as `2026-01-01T00:00:00Z`.',
    }),
  )

/** An instant, or a day in the zone of the job. */
export const givenMoment = z
  .union([givenInstant, z.iso.date()], {
    message: 'expected an instant such as 2026-01-01T00:00:00Z, or a day in the zone of the job such as 2026-01-01',
  })
  .meta({ description: 'An instant with its zone, or a day in the zone of the job, such as `2026-01-01`.' })

export const givenDuration = z
  .string()
  .max(40)
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d|w)$/, { message: 'expected a duration with a unit, such as 10s' })
  .meta({ description: 'A duration with a unit, such as `10s`.' })

export const jobId = z.string().min(1).max(MAX_JOB_ID).meta({ description: 'The id of a job.' })
export const text = z.string().max(MAX_TEXT)
export const name = z.string().min(1).max(MAX_JOB_ID)

/** Creates the schema of a whole number that is given as a string in a path or a query. */
export function wholeText(min: number, max = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .regex(/^\d{1,16}$/, { message: `expected a whole number from ${min}` })
    .transform(Number)
    .pipe(z.number().int().min(min).max(max))
    .meta(shownAs({ type: 'integer', minimum: min, ...(max < Number.MAX_SAFE_INTEGER && { maximum: max }) }))
}

/** `true` or `false` as a string. */
export const flagText = z
  .enum(['true', 'false'])
  .transform((value) => value === 'true')
  .meta(shownAs({ type: 'boolean' }))

/** Creates the schema of a JSON value that is given as a string in a query. */
export function jsonText(maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .transform((given, context): unknown => {
      try {
        return JSON.parse(given)
      } catch {
        context.addIssue({ code: 'custom', message: 'expected JSON' })
        return z.NEVER
      }
    })
    .meta(shownAs({ type: 'string', maxLength }))
}

export const id = wholeText(1)
export const idNumber = z.number().int().min(1)

/** Which part of a list a request asks for. */
export const page = {
  limit: wholeText(1, MAX_LIMIT)
    .default(DEFAULT_LIMIT)
    .meta(
      shownAs({
        type: 'integer',
        minimum: 1,
        maximum: MAX_LIMIT,
        default: DEFAULT_LIMIT,
        description: 'The maximum number of entries.',
      }),
    ),
  cursor: z
    .string()
    .min(1)
    .max(MAX_CURSOR)
    .optional()
    .meta({ description: 'The `next` of the previous page. Send the other parameters unchanged.' }),
}

/** Which part of a short list a request asks for. Without `limit`: all of it. */
export const optionalPage = {
  limit: wholeText(1, MAX_LIMIT)
    .optional()
    .meta(
      shownAs({
        type: 'integer',
        minimum: 1,
        maximum: MAX_LIMIT,
        description: 'The maximum number of entries. Without it, the answer has all entries.',
      }),
    ),
  cursor: page.cursor,
}

/**
 * Creates the schema of one page of a list. The last page has no `next`. A page with fewer than `limit` entries need not be the last one.
 */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next: z.string().optional().meta({ description: 'The `cursor` of the next page; absent on the last one.' }),
  })
}

/** Creates the schema of a short list with all its entries. */
export function allOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item) })
}

export const count = z.number().int().min(0)
export const milliseconds = z.number().min(0)
/** Any JSON value. */
export const json = z.unknown()
export const window = z.object({ start: instant, end: instant })

/** Creates the schema of a list of values that are separated by commas. */
export function listOf<Item extends z.ZodType<unknown, string>>(item: Item, max: number) {
  return z
    .string()
    .max(16_384)
    .transform((given) => given.split(','))
    .pipe(z.array(item).min(1).max(max))
}
