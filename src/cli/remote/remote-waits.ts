import { BATCH_ENDS } from '../../run/batch.ts'
import type { BatchWait } from '../../operations/batches/batch-request.ts'
import { setTimeout as sleep } from 'node:timers/promises'

/** The interval at which a node is asked again, in milliseconds. */
const LOOK_MS = 1_000

/** The calls of an app that wait for the end of work, which are too long for one request, and the operation that shows the work. */
export const WAITS: Readonly<Record<string, string>> = {
  'backfills.wait': 'backfills.show',
  'batches.wait': 'batches.show',
}

/** Asks for a backfill or batch until it has ended. */
export async function waited(
  show: () => Promise<unknown>,
  { signal, onProgress }: Pick<BatchWait, 'signal'> & { readonly onProgress?: (status: never) => void } = {},
): Promise<unknown> {
  for (;;) {
    signal?.throwIfAborted()
    const status = (await show()) as { readonly state: string }
    onProgress?.(status as never)
    if (BATCH_ENDS.some((end) => end === status.state)) return status
    await sleep(LOOK_MS, undefined, signal ? { signal } : {})
  }
}
