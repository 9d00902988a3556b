import { z } from 'zod'

/**
 * A hint from one node to another to read the database before its next poll. The other node then acts only on what it reads in the
 * database.
 */
export const HINT = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('work') }),
  z.object({ kind: z.literal('cancel') }),
  z.object({ kind: z.literal('shared'), topic: z.string(), version: z.int() }),
  z.object({ kind: z.literal('cache'), cache: z.string(), keys: z.array(z.string()).readonly().optional() }),
])

/** A hint of the kind `cache` without keys applies to all keys of the cache. */
export type Hint = z.infer<typeof HINT>
