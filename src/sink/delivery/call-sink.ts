import { traced } from '../../tracing/tracing.ts'
import type { Route } from '../routes.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import type { SinkTarget } from '../sink-target.ts'
import { called } from '../call-mark.ts'
import { inTime } from './in-time.ts'

type Method = (rows: readonly unknown[], batch: SinkBatch) => unknown

/**
 * Passes rows to the sink's method.
 *
 * @throws PikoError `TIMEOUT` if the method takes too long
 */
export async function callSink(
  { name, sink, counts, policy }: Pick<SinkTarget, 'name' | 'sink' | 'counts' | 'policy'>,
  { method }: Route,
  rows: readonly unknown[],
  batch: SinkBatch,
  bytes: number,
): Promise<void> {
  const since = performance.now()
  await traced(
    `sink ${name}`,
    () => ({ 'piko.sink': name, 'piko.sink.rows': rows.length, 'piko.sink.bytes': bytes }),
    () =>
      inTime(name, policy.timeoutMs, batch.signal, async (signal) =>
        (sink as unknown as Record<string | symbol, Method>)[method]?.(rows, called({ ...batch, signal, sink: name })),
      ),
  )
  counts.delivered(rows.length, bytes, performance.now() - since)
}

/** Calls the sink's `clear` for a route that got no rows. Throws as {@link callSink} does. */
export async function clearWindow(
  { name, sink, policy }: Pick<SinkTarget, 'name' | 'sink' | 'policy'>,
  { model }: Route,
  scope: SinkScope,
): Promise<void> {
  if (!sink.clear) return
  await inTime(name, policy.timeoutMs, scope.signal, async (signal) => sink.clear?.({ ...scope, signal }, model))
}
