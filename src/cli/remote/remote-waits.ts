import { isBatchEnd } from '../../run/batch.ts'
import type { BatchWait } from '../../operations/batches/batch-request.ts'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often a node is polled, in milliseconds. */
const LOOK_MS = 1_000

/**
 * The calls of an app that wait until work has ended, each with the operation that shows the work. A single request can't wait that long.
 */
export const WAITS: Readonly<Record<string, string>> = {
  'backfills.wait': 'backfills.show',
  'batches.wait': 'batches.show',
}

/** Polls a backfill or batch until it has ended. */
export async function waited(
  show: () => Promise<unknown>,
  { signal, onProgress }: Pick<BatchWait, 'signal'> & { readonly onProgress?: (status: never) => void } = {},
): Promise<unknown> {
  for (;;) {
    signal?.throwIfAborted()
    const status = (await show()) as { readonly state: string }
    onProgress?.(status as never)
    if (isBatchEnd(status.state)) return status
    await sleep(LOOK_MS, undefined, signal ? { signal } : {})
  }
}
