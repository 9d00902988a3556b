import { describe, PikoError } from '../errors.ts'
import { nearestName } from '../options.ts'
import { isSchema, markedModels } from './on.ts'
import { type RowModel, Sink, type SinkClass } from './sink.ts'

/** The method that receives the rows of a model. */
export interface Route {
  readonly model: RowModel
  /** The name for messages and batch keys. It is unique within the sink, and the same in every process. */
  readonly modelName: string
  /** The name of the sink's method. */
  readonly method: string | symbol
}

/** The routes of a sink, by their models. */
export class Routes extends Map<RowModel, Route> {
  /**
   * Returns the route of a model or a name.
   *
   * @param sinkName for the message
   * @throws PikoError `SINK_MODEL_UNKNOWN`
   */
  find(sinkName: string, to: RowModel | string): Route {
    const route = typeof to === 'string' ? this.#named(sinkName, to) : this.get(to)
    if (route) return route
    const given = typeof to === 'string' ? describe(to) : typeof to === 'function' ? to.name : 'this schema'
    const advice =
      typeof to === 'string' ? this.#advice(to) : 'Pass the same class or schema object as to @on, not a copy'
    throw unknownRoute(
      sinkName,
      `has no ${typeof to === 'string' ? 'route' : '@on for'} ${given}; ${this.#known()}. ${advice}`,
      given,
    )
  }

  #named(sinkName: string, name: string): Route | undefined {
    const found = [...this.values()].filter(({ method }) => method === name)
    if (found.length < 2) return found[0]
    const models = found.map(({ modelName }) => modelName).join(', ')
    throw unknownRoute(sinkName, `takes ${models} by the name ${describe(name)}; pass the model instead`, name)
  }

  #known(): string {
    return `it takes ${[...this.values()].map(({ modelName }) => modelName).join(', ') || 'no model at all'}`
  }

  #advice(name: string): string {
    const names = [...this.values()].flatMap(({ method }) => (typeof method === 'string' ? [method] : []))
    const nearest = nearestName(name, names)
    return nearest === undefined ? `Its routes are ${names.join(', ')}` : `Did you mean ${describe(nearest)}?`
  }
}

function unknownRoute(sink: string, what: string, model: string): PikoError {
  return new PikoError('SINK_MODEL_UNKNOWN', `sink ${sink} ${what}`, { details: { sink, model } })
}

/**
 * Returns the models of a sink class with their methods, including those of its parents.
 *
 * @throws PikoError `SINK_FAILED` if two methods of one class are marked for the same model
 */
export function routesOf(sinkClass: SinkClass): Routes {
  const methods = new Map<RowModel, string | symbol>()
  for (const prototype of prototypes(sinkClass).reverse()) {
    const own = new Map<RowModel, string | symbol>()
    for (const method of Reflect.ownKeys(prototype)) {
      const models = markedModels(Object.getOwnPropertyDescriptor(prototype, method)?.value)
      // If a subclass overrides a method and marks it again, the parent's marks no longer apply to it.
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

/** Returns the name of a route: the name of a class, or the `id` or `title` in a schema's `meta`, otherwise the name of the method. */
function nameOf(model: RowModel, method: string | symbol): string {
  if (!isSchema(model)) return (model as { readonly name: string }).name || String(method)
  const { meta } = model as { meta?: () => { readonly id?: unknown; readonly title?: unknown } | undefined }
  const described = typeof meta === 'function' ? meta.call(model) : undefined
  const name = described?.id ?? described?.title
  return typeof name === 'string' && name !== '' ? name : String(method)
}

/** Returns the prototypes of a sink class and of its parents, nearest first. */
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
  const routes = new Routes()
  const taken = new Map<string, number>()
  for (const [model, method] of methods) {
    const name = nameOf(model, method)
    const uses = (taken.get(name) ?? 0) + 1
    taken.set(name, uses)
    routes.set(model, { model, modelName: uses === 1 ? name : `${name}#${uses}`, method })
  }
  return routes
}
