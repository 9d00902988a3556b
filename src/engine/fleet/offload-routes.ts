import { z } from 'zod'
import { isPikoError } from '../../errors.ts'
import { defineRoutes, type Routes } from '../../link/routes/define-routes.ts'
import { serialiseError } from '../../offload/error-transfer.ts'
import { fleetModule } from '../../offload/fleet/fleet.ts'
import { decoded, encoded } from '../../offload/fleet/travel.ts'
import type { OffloadPool } from '../../offload/offload-pool.ts'
import { allPools } from '../../offload/pools.ts'
import { ChunkReader } from '../../offload/streams/chunk-reader.ts'
import type { OffloadAnswer } from './fleet-offload.ts'

const CALL = z.object({
  hash: z.string(),
  file: z.string(),
  name: z.string(),
  priority: z.number(),
  timeoutMs: z.number().optional(),
})

/** The maximum size of an answer. It is below what a link accepts, so that the caller learns why it gets no result. */
const MAX_ANSWER_BYTES = 60 * 2 ** 20

/** Creates the routes for offloaded calls from other nodes. @param isIdle whether this node accepts calls from other nodes */
export function offloadRoutes(isIdle: () => boolean): Routes {
  const freeOf = (pool: OffloadPool | undefined): number => {
    if (!pool || !isIdle()) return 0
    const { size, running, waiting } = pool.stats
    return Math.max(0, size - running - waiting)
  }
  return defineRoutes({ prefix: '/offload' })
    .on('/free', { in: z.object({ pool: z.string() }) }, ({ body }) =>
      freeOf(allPools().find(({ name }) => name === body.pool)),
    )
    .upload('/call', { meta: CALL }, async ({ stream, meta, signal }) => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return packed(await answerOf(meta, Buffer.concat(chunks), signal, freeOf))
    })
}

async function answerOf(
  { hash, file, name, priority, timeoutMs }: z.infer<typeof CALL>,
  bytes: Buffer,
  signal: AbortSignal,
  freeOf: (pool: OffloadPool) => number,
): Promise<OffloadAnswer> {
  const found = fleetModule(hash, file)
  if ('problem' in found) return { kind: 'refused', why: found.problem }
  if (freeOf(found.pool) === 0) return { kind: 'busy' }
  try {
    const args = decoded(bytes) as unknown[]
    const options = { transfer: [], scope: undefined, priority, timeoutMs }
    const value = await found.pool.call({ module: found.file, name, args }, options, signal).result
    if (!(value instanceof ChunkReader)) return { kind: 'value', value }
    // If this node were lost, the stream could not continue on another one.
    await value.return()
    return { kind: 'kept' }
  } catch (error) {
    // This node ends its threads because it stops. The call itself has not failed.
    return isPikoError(error, 'STOPPED') ? { kind: 'busy' } : { kind: 'error', error: serialiseError(error) }
  }
}

function packed(answer: OffloadAnswer): Buffer {
  return encoded(answer, MAX_ANSWER_BYTES) ?? encoded({ kind: 'kept' } satisfies OffloadAnswer, MAX_ANSWER_BYTES)!
}
