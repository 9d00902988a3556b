import { z } from 'zod'

/** What a node tells another one, so that it looks before its next poll. The database has the truth. */
export const HINT = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('work') }),
  z.object({ kind: z.literal('cancel') }),
  z.object({ kind: z.literal('shared'), topic: z.string(), version: z.int() }),
  z.object({ kind: z.literal('cache'), cache: z.string(), keys: z.array(z.string()).readonly().optional() }),
])

/** A hint `cache` without keys is for all keys of the cache. */
export type Hint = z.infer<typeof HINT>
