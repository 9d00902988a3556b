import type { z } from 'zod'
import { PikoError } from '../../errors.ts'

const MAX_SHOWN = 10

/**
 * Parses a value with a schema.
 *
 * @throws PikoError `INPUT_INVALID` or `OUTPUT_INVALID` that lists the problems
 */
export async function checked(
  schema: z.ZodType | undefined,
  value: unknown,
  code: 'INPUT_INVALID' | 'OUTPUT_INVALID',
  what: string,
): Promise<unknown> {
  if (!schema) return value
  const parsed = await schema.safeParseAsync(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues
    .slice(0, MAX_SHOWN)
    .map(({ path, message }) => `${path.length === 0 ? 'it' : path.map(String).join('.')}: ${message}`)
  throw new PikoError(code, `${what} does not match its schema: ${problems.join('; ')}`, { details: { problems } })
}
