import { deserialize, serialize } from 'node:v8'
import { z } from 'zod'
import { messageOf } from '../../errors-read.ts'
import { defineRoutes, type Routes } from '../../link/routes/define-routes.ts'
import { serialiseError } from '../../offload/error-transfer.ts'
import { fleetModule } from '../../offload/fleet/fleet.ts'
import { STREAM } from '../../offload/fleet/fleet-queue.ts'
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
    const args = deserialize(bytes) as unknown[]
    const options = { transfer: [], scope: undefined, priority, timeoutMs }
    const value = await found.pool.call({ module: found.file, name, args }, options, signal).result
    if (!(value instanceof ChunkReader)) return { kind: 'value', value }
    await value.return()
    return { kind: 'refused', why: STREAM }
  } catch (error) {
    return { kind: 'error', error: serialiseError(error) }
  }
}

function packed(answer: OffloadAnswer): Buffer {
  try {
    return serialize(answer)
  } catch (error) {
    return serialize({ kind: 'refused', why: messageOf(error) } satisfies OffloadAnswer)
  }
}
