import { isWhole, propertyOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { aFunction, anything, aText, expecting, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { isRowModel, mark, type RowHandler } from './on.ts'
import {
  type RowModel,
  type RowOf,
  Sink,
  type SinkBatch,
  type SinkClass,
  type SinkEnv,
  type SinkScope,
} from './sink.ts'

/** A sink without a class. {@link Sink} says when each function is called; its result is awaited and dropped. */
export interface SinkDefinition<Models extends readonly RowModel[]> {
  /** For messages and metrics. */
  readonly name: string
  /** Rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /** About how many bytes a batch holds in memory. A single larger row fails its write. Default 8,000,000. */
  readonly batchBytes?: number
  /** Pairs of a model and the function that receives its rows. */
  readonly on: { readonly [K in keyof Models]: readonly [model: Models[K], handler: RowHandler<Models[K]>] }
  open?(env: SinkEnv): unknown
  clear?(scope: SinkScope, model: RowModel): unknown
  close?(): unknown
}

/** A sink with a method for each model: `on0`, `on1` … */
export type DefinedSink<Models extends readonly RowModel[]> = Sink & {
  readonly [K in keyof Models & `${number}` as `on${K}`]: (rows: RowOf<Models[K]>[], batch: SinkBatch) => unknown
}

const isBatchSize = (value: unknown): boolean => isWhole(value) && value >= 1
const BATCH_SIZE = 'a whole number from 1'

const CHECKS: OptionChecks<SinkDefinition<readonly RowModel[]>> = {
  name: aText,
  batchSize: expecting(BATCH_SIZE, isBatchSize),
  batchBytes: expecting(BATCH_SIZE, isBatchSize),
  on: anything,
  open: aFunction,
  clear: aFunction,
  close: aFunction,
}

const EXAMPLE = "{ name: 'orders', on: [[Order, (rows) => …]] }"

/**
 * A {@link Sink} class from functions; the models type the rows.
 *
 * @throws PikoError `SINK_FAILED` naming every unknown or unusable option
 * @example
 * const Orders = defineSink({
 *   name: 'orders',
 *   on: [[Order, async (rows, batch) => table.replace(batch, rows)]],
 *   clear: (scope) => table.clear(scope),
 * })
 */
export function defineSink<const Models extends readonly RowModel[]>(
  definition: SinkDefinition<Models>,
): SinkClass<DefinedSink<Models>> {
  const { name, batchSize = Sink.batchSize, batchBytes = Sink.batchBytes, on } = checked(definition)

  class Defined extends Sink {
    static override readonly batchSize = batchSize
    static override readonly batchBytes = batchBytes
  }
  Object.defineProperty(Defined, 'name', { value: name })
  const define = (method: string, value: unknown): void => {
    Object.defineProperty(Defined.prototype, method, { value, configurable: true, writable: true })
  }
  for (const [index, [model, handler]] of on.entries()) {
    // A separate function per sink: the same handler may serve two sinks, and the mark must not be on both.
    const method: RowHandler<RowModel> = (rows, batch) => handler(rows, batch)
    mark(method, model)
    define(`on${index}`, method)
  }
  const { open, clear, close } = definition as Record<'open' | 'clear' | 'close', unknown>
  if (open !== undefined) define('open', (env: SinkEnv) => definition.open?.(env))
  if (clear !== undefined) define('clear', (scope: SinkScope, model: RowModel) => definition.clear?.(scope, model))
  if (close !== undefined) define('close', () => definition.close?.())
  return Defined as unknown as SinkClass<DefinedSink<Models>>
}

interface CheckedSink {
  readonly name: string
  readonly batchSize?: number
  readonly batchBytes?: number
  readonly on: readonly Pair[]
}

function checked<Models extends readonly RowModel[]>(definition: SinkDefinition<Models>): CheckedSink {
  const { options, problems } = readOptions(definition, CHECKS, EXAMPLE, ['name'])
  const { name, batchSize, batchBytes } = options
  const { pairs, problems: wrongPairs } = pairsOf(options.on)
  const all = [...problems, ...wrongPairs]
  if (name === undefined || all.length > 0) throw invalid(propertyOf(definition, 'name'), all)
  return {
    name,
    ...(batchSize !== undefined && { batchSize }),
    ...(batchBytes !== undefined && { batchBytes }),
    on: pairs,
  }
}

type Pair = readonly [RowModel, RowHandler<RowModel>]

function pairsOf(on: unknown): { readonly pairs: readonly Pair[]; readonly problems: readonly string[] } {
  const given: readonly unknown[] = Array.isArray(on) ? on : []
  if (given.length === 0) return { pairs: [], problems: ['it receives nothing; expected on: [[model, handler], …]'] }
  const problems: string[] = []
  const seen = new Set<unknown>()
  const pairs = given.flatMap((pair, index): Pair[] => {
    const [model, handler] = Array.isArray(pair) ? (pair as unknown[]) : []
    if (!isRowModel(model) || typeof handler !== 'function') {
      problems.push(`on[${index}] is ${describe(pair)}; expected [zod schema or class, function]`)
      return []
    }
    if (seen.has(model)) problems.push(`on[${index}] has the model of an earlier pair; expected each model once`)
    seen.add(model)
    return [[model, handler as RowHandler<RowModel>]]
  })
  return { pairs, problems }
}

/** @throws PikoError `SINK_FAILED` */
export function assertBatchSize(name: string, sizes: Pick<SinkClass, 'batchSize' | 'batchBytes'>): void {
  const problems = (['batchSize', 'batchBytes'] as const).flatMap((size) =>
    isBatchSize(sizes[size]) ? [] : `${size} is ${describe(sizes[size])}; expected ${BATCH_SIZE}`,
  )
  if (problems.length > 0) throw invalid(name, problems)
}

function invalid(name: unknown, problems: readonly string[]): PikoError {
  const what = problemsText(`sink ${typeof name === 'string' ? name : describe(name)}`, problems)
  return new PikoError('SINK_FAILED', what, { details: { problems } })
}
