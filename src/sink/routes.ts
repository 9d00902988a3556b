import { PikoError } from '../errors.ts'
import { isSchema, markedModels } from './on.ts'
import { type RowModel, Sink, type SinkClass } from './sink.ts'

/** The method that receives the rows of a model. */
export interface Route {
  readonly model: RowModel
  /** For messages and batch keys: unique within the sink, and the same in every process. */
  readonly modelName: string
  /** The name of the sink's method. */
  readonly method: string | symbol
}

export type Routes = ReadonlyMap<RowModel, Route>

/**
 * The models of a sink class with their methods, its parents' included.
 *
 * @throws PikoError `SINK_FAILED` if two methods of one class are marked for one model
 */
export function routesOf(sinkClass: SinkClass): Routes {
  const methods = new Map<RowModel, string | symbol>()
  for (const prototype of prototypes(sinkClass).reverse()) {
    const own = new Map<RowModel, string | symbol>()
    for (const method of Reflect.ownKeys(prototype)) {
      const models = markedModels(Object.getOwnPropertyDescriptor(prototype, method)?.value)
      // A new mark under the same name: the parent's models no longer go to this method.
      if (models.length > 0) for (const [model, name] of methods) if (name === method) methods.delete(model)
      for (const model of models) {
        const other = own.get(model)
        if (other !== undefined) {
          const both = `${String(other)} and ${String(method)}`
          throw new PikoError(
            'SINK_FAILED',
            `sink ${sinkClass.name}: the methods ${both} are both marked @on(${nameOf(model, other)}); expected one`,
          )
        }
        own.set(model, method)
      }
    }
    for (const [model, method] of own) methods.set(model, method)
  }
  return named(methods)
}

/** A class's name, a schema's `meta` id or title, otherwise the method's name. */
function nameOf(model: RowModel, method: string | symbol): string {
  if (!isSchema(model)) return (model as { readonly name: string }).name || String(method)
  const { meta } = model as { meta?: () => { readonly id?: unknown; readonly title?: unknown } | undefined }
  const described = typeof meta === 'function' ? meta.call(model) : undefined
  const name = described?.id ?? described?.title
  return typeof name === 'string' && name !== '' ? name : String(method)
}

/** The prototype chain, nearest first. */
function prototypes(sinkClass: SinkClass): object[] {
  const found: object[] = []
  let prototype: unknown = sinkClass.prototype
  while (
    typeof prototype === 'object' &&
    prototype !== null &&
    prototype !== Sink.prototype &&
    prototype !== Object.prototype
  ) {
    found.push(prototype)
    prototype = Object.getPrototypeOf(prototype)
  }
  return found
}

function named(methods: ReadonlyMap<RowModel, string | symbol>): Routes {
  const routes = new Map<RowModel, Route>()
  const taken = new Map<string, number>()
  for (const [model, method] of methods) {
    const name = nameOf(model, method)
    const uses = (taken.get(name) ?? 0) + 1
    taken.set(name, uses)
    routes.set(model, { model, modelName: uses === 1 ? name : `${name}#${uses}`, method })
  }
  return routes
}
