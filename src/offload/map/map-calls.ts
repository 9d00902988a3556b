import { checkedCall, wrongCall } from '../../call-options.ts'
import { describe } from '../../errors-read.ts'
import { aText } from '../../options.ts'
import { durationMs, formatMs } from '../../time/duration.ts'
import type { OffloadPool } from '../offload-pool.ts'
import type { CallOptions } from '../pool/offload-call.ts'
import { callError, callTitle } from '../pool/thread-error.ts'
import type { BatchResult } from '../protocol.ts'
import { callSignal, currentScope } from '../signal.ts'
import { Fold } from './fold.ts'
import { MAP_CHECKS, MapRun, type OffloadMapOptions, settledOf } from './map-run.ts'

/** The pool and the module to use. */
export interface MapTarget {
  readonly pool: OffloadPool
  /** The URL of the module's file. */
  readonly module: () => string
}

export interface MapNames {
  readonly map: string
  readonly reduce: string
}

type Items = Iterable<unknown> | AsyncIterable<unknown>

/** Calls the function for each item. Results are in the order of the items. */
export async function mapCalls(
  target: MapTarget,
  name: string,
  items: Items,
  given: OffloadMapOptions,
): Promise<PromiseSettledResult<unknown>[]> {
  const results: PromiseSettledResult<unknown>[] = []
  await run(target, { call: '$map', name, reduce: undefined }, items, given, (first, batch) => {
    for (const [index, result] of batch.entries()) results[first + index] = settledOf(result)
  })
  return results
}

/** Calls `map` for each item, and combines the results with `reduce`. Both functions run in threads. */
export async function mapReduceCalls(
  target: MapTarget,
  { map, reduce }: MapNames,
  items: Items,
  given: OffloadMapOptions,
): Promise<unknown> {
  const options = callOptions(given)
  const fold = new Fold((a, b) => {
    const wanted = { module: target.module(), name: reduce, args: [a, b] }
    return target.pool.call(wanted, options, callSignal(given.signal)).result
  })
  await run(target, { call: '$mapReduce', name: map, reduce }, items, given, (first, results, count) =>
    fold.add(first, count, results),
  )
  return fold.result()
}

interface Wanted {
  readonly call: string
  readonly name: string
  readonly reduce: string | undefined
}

async function run(
  { pool, module }: MapTarget,
  { call, name, reduce }: Wanted,
  items: Items,
  given: OffloadMapOptions,
  onResults: (first: number, results: readonly BatchResult[], count: number) => void,
): Promise<void> {
  const { inFlight = 2 * pool.stats.size, batch, signal, timeout } = checkedCall(call, MAP_CHECKS, given)
  assertCall(call, name, items)
  const called = { module: module(), name }
  const options = callOptions(given)
  const timeoutMs = timeout === undefined ? pool.timeoutMs : durationMs(timeout)
  const run = new MapRun(items, {
    ...{ inFlight, batch, timeoutMs, onResults },
    timedOut: (ms) =>
      callError('OFFLOAD_TIMEOUT', called, `${callTitle(called)} ran longer than its timeout of ${formatMs(ms)}`),
    send: async (part, state, ending) => {
      const both = callSignal(signal === undefined ? ending : AbortSignal.any([signal, ending]))
      return (await pool.call({ ...called, args: [part], batch: { reduce, state } }, options, both)
        .result) as readonly BatchResult[]
    },
  })
  await run.run()
}

function callOptions({ priority = 0 }: OffloadMapOptions): CallOptions {
  return { transfer: [], scope: currentScope(), priority, timeoutMs: undefined }
}

function assertCall(call: string, name: string, items: Items): void {
  const problem = aText(name)
  if (problem !== undefined) throw wrongCall(call, [`the name of the function ${problem}`])
  const isFine =
    typeof items === 'object' && items !== null && (Symbol.iterator in items || Symbol.asyncIterator in items)
  if (!isFine) throw wrongCall(call, [`the items are ${describe(items)}; expected an iterable or an async iterable`])
}
