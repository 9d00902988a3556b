import { z } from 'zod'

/**
 * A hint from one node to another that something in the database has changed. The other node then reads it there, instead of waiting for
 * its next poll or using a cached value.
 */
export const HINT = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('work') }),
  z.object({ kind: z.literal('cancel') }),
  z.object({ kind: z.literal('shared'), topic: z.string(), version: z.int() }),
  z.object({ kind: z.literal('cache'), cache: z.string(), keys: z.array(z.string()).readonly().optional() }),
])

/** A hint of the kind `cache` without keys applies to all keys of the cache. */
export type Hint = z.infer<typeof HINT>
