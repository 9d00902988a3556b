import type { Route } from '../routes.ts'
import type { SinkBatch } from '../sink.ts'
import type { SinkTarget } from '../sink-target.ts'

type Method = (rows: readonly unknown[], batch: SinkBatch) => unknown

/** Passes rows to the sink's method. */
export async function callSink(
  { sink, counts }: Pick<SinkTarget, 'sink' | 'counts'>,
  { method }: Route,
  rows: readonly unknown[],
  batch: SinkBatch,
  bytes: number,
): Promise<void> {
  const since = performance.now()
  await (sink as unknown as Record<string | symbol, Method>)[method]?.(rows, batch)
  counts.delivered(rows.length, bytes, performance.now() - since)
}
