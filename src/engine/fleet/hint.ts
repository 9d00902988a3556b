import { z } from 'zod'

/**
 * A notification from one node to another, which then reads the database before its next poll. The node then acts only on the content of
 * the database.
 */
export const HINT = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('work') }),
  z.object({ kind: z.literal('cancel') }),
  z.object({ kind: z.literal('shared'), topic: z.string(), version: z.int() }),
  z.object({ kind: z.literal('cache'), cache: z.string(), keys: z.array(z.string()).readonly().optional() }),
])

/** A hint `cache` without keys is for all keys of the cache. */
export type Hint = z.infer<typeof HINT>
