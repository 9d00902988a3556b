import { describe, PikoError } from '../errors.ts'
import type { RowModel, RowOf, SinkBatch } from './sink.ts'

/**
 * Receives the checked rows of one model, at most `batchSize` and `batchBytes` per call. With one writer, the next batch waits until the
 * handler resolves.
 */
export type RowHandler<M> = (rows: RowOf<M>[], batch: SinkBatch) => unknown

/** A method decorator with two signatures: the first for TC39 decorators, the second for `experimentalDecorators`. */
export interface OnDecorator<Handler> {
  (method: Handler, context: MethodContext): void
  <M extends Handler>(prototype: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): void
}

/** The part of TypeScript's `ClassMethodDecoratorContext` that is the same for every public instance method. */
interface MethodContext {
  readonly kind: 'method'
  readonly private: false
  readonly static: boolean
  readonly name: string | symbol
}

/**
 * Marks the method of a `Sink` that receives the rows of a model. Works as a TC39 and as a legacy (`experimentalDecorators`) decorator. If
 * other decorators replace the method, `@on` must be written above them.
 *
 * A subclass inherits the marked methods of its parent. To override one, it declares a method of the same name, or marks another method for
 * the same model. A method of the same name without a mark keeps the models of the overridden one.
 *
 * @throws PikoError `SINK_FAILED` if it is not on a public instance method, or the model is neither a zod schema nor a class
 * @example
 * class Orders extends Sink {
 *   @on(Order)
 *   async orders(rows: Order[], batch: SinkBatch) { await table.replace(batch, rows) }
 * }
 */
export function on<M extends RowModel>(model: M): OnDecorator<RowHandler<M>> {
  if (!isRowModel(model)) throw misplaced(`its model is ${describe(model)}; expected a zod schema or a class`)
  return (target: unknown, context: unknown, descriptor?: unknown): void => {
    if (isTc39Context(context)) {
      if (context.kind !== 'method' || context.static || context.private) {
        throw misplaced(`it is on the ${kindOf(context)} ${String(context.name)}; expected a public instance method`)
      }
      mark(target as object, model)
      return
    }
    const method = (descriptor as PropertyDescriptor | undefined)?.value as unknown
    if (typeof method !== 'function' || typeof target === 'function') {
      throw misplaced(`it is on ${String(context)}; expected a public instance method`)
    }
    mark(method, model)
  }
}

/** Whether the value is a class or a zod schema. A schema is recognised by its properties, so that any copy of zod works. */
export function isRowModel(value: unknown): value is RowModel {
  return typeof value === 'function' || isSchema(value)
}

export function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'safeParse' in value && typeof value.safeParse === 'function'
}

// The mark is a property of the function itself. So it needs no Symbol.metadata, which Node does not have, and no instance. It also works
// for a class that another copy of this package has decorated.
const MODELS = Symbol.for('piko.on')

/** Marks a handler as the receiver of one more model. */
export function mark(method: object, model: RowModel): void {
  Object.defineProperty(method, MODELS, { value: [...markedModels(method), model], configurable: true })
}

/** Returns the models of a marked method; none for any other value. */
export function markedModels(method: unknown): readonly RowModel[] {
  if (typeof method !== 'function') return []
  return (method as { [MODELS]?: readonly RowModel[] })[MODELS] ?? []
}

function isTc39Context(
  value: unknown,
): value is DecoratorContext & { readonly static?: boolean; readonly private?: boolean } {
  return typeof value === 'object' && value !== null && 'kind' in value
}

function kindOf(context: { readonly kind: string; readonly static?: boolean; readonly private?: boolean }): string {
  return [context.private && 'private', context.static && 'static', context.kind].filter(Boolean).join(' ')
}

function misplaced(problem: string): PikoError {
  return new PikoError('SINK_FAILED', `@on: ${problem}`)
}
