import { describe, PikoError } from '../errors.ts'
import { isRowModel, mark, type RowHandler } from './on.ts'
import { type RowModel, Sink, type SinkClass, type SinkEnv, type SinkScope } from './sink.ts'

/** A sink without a class. See {@link Sink} for when each function is called; what it returns is awaited and dropped. */
export interface SinkDefinition<Models extends readonly RowModel[]> {
  /** For messages and metrics. */
  readonly name: string
  /** Rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /** Pairs of a model and what receives its rows. */
  readonly on: { readonly [K in keyof Models]: readonly [model: Models[K], handler: RowHandler<Models[K]>] }
  open?(env: SinkEnv): unknown
  clear?(scope: SinkScope, model: RowModel): unknown
  close?(): unknown
}

/**
 * A {@link Sink} class from functions; the rows are typed by their models.
 *
 * @throws PikoError `SINK_FAILED` when the name, the batch size or a pair is not usable
 * @example
 * const Orders = defineSink({
 *   name: 'orders',
 *   on: [[Order, async (rows, batch) => table.replace(batch, rows)]],
 *   clear: (scope) => table.clear(scope),
 * })
 */
export function defineSink<const Models extends readonly RowModel[]>(definition: SinkDefinition<Models>): SinkClass {
  const { name, batchSize = Sink.batchSize } = definition
  if (typeof name !== 'string' || name === '') throw invalid(name, `its name is ${describe(name)}; expected a text`)
  assertBatchSize(name, batchSize)

  class DefinedSink extends Sink {
    static override readonly batchSize = batchSize
  }
  Object.defineProperty(DefinedSink, 'name', { value: name })
  const define = (method: string, value: unknown): void => {
    Object.defineProperty(DefinedSink.prototype, method, { value, configurable: true, writable: true })
  }
  const pairs: readonly unknown[] = Array.isArray(definition.on) ? definition.on : []
  if (pairs.length === 0) throw invalid(name, 'it receives nothing; expected on: [[model, handler], …]')
  const seen = new Set<unknown>()
  for (const [index, pair] of pairs.entries()) {
    const [model, handler] = Array.isArray(pair) ? (pair as unknown[]) : []
    if (!isRowModel(model) || typeof handler !== 'function') {
      throw invalid(name, `on[${index}] is ${describe(pair)}; expected [zod schema or class, function]`)
    }
    if (seen.has(model)) throw invalid(name, `on[${index}] has the model of an earlier pair; expected each model once`)
    seen.add(model)
    // A function of its own: the same handler may serve two sinks, and the mark must not be on both.
    const method: RowHandler<RowModel> = (rows, batch) => (handler as RowHandler<RowModel>)(rows, batch)
    mark(method, model)
    define(`on${index}`, method)
  }
  const { open, clear, close } = definition as Record<'open' | 'clear' | 'close', unknown>
  if (open !== undefined) define('open', (env: SinkEnv) => definition.open?.(env))
  if (clear !== undefined) define('clear', (scope: SinkScope, model: RowModel) => definition.clear?.(scope, model))
  if (close !== undefined) define('close', () => definition.close?.())
  return DefinedSink
}

/** @throws PikoError `SINK_FAILED` */
export function assertBatchSize(name: string, batchSize: unknown): void {
  if (Number.isSafeInteger(batchSize) && (batchSize as number) >= 1) return
  throw invalid(name, `its batchSize is ${describe(batchSize)}; expected a whole number from 1 on`)
}

function invalid(name: unknown, problem: string): PikoError {
  return new PikoError('SINK_FAILED', `sink ${typeof name === 'string' ? name : describe(name)}: ${problem}`)
}
