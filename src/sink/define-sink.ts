import { isObject, propertyOf } from '../errors-read.ts'
import { describe } from '../errors.ts'
import { aFunction, anything, aText, type OptionChecks, readOptions } from '../options.ts'
import { isRowModel, mark, type RowHandler } from './on.ts'
import {
  type namedRows,
  type RowInputOf,
  type RowKey,
  type RowModel,
  type RowOf,
  Sink,
  type SinkBatch,
  type SinkClass,
  type SinkEnv,
  type SinkRules,
  type SinkScope,
} from './sink.ts'
import { invalidSink, misfits, RULE_CHECKS, RULE_NAMES } from './sink-policy.ts'

type RouteMap = Readonly<Record<string, RowModel>>

/**
 * A sink without a class. {@link Sink} describes when each function is called. The results of the functions are awaited and then ignored.
 */
export interface SinkDefinition<
  Models extends readonly RowModel[] = readonly RowModel[],
  Named extends RouteMap = RouteMap,
> extends Omit<SinkRules, 'key'> {
  /** The name for messages and metrics. It must be unique in the process if the sink has `spill` or `deadLetters`. */
  readonly name: string
  /** Pairs of a model and the function that receives the model's rows. */
  readonly on?: { readonly [K in keyof Models]: readonly [model: Models[K], handler: RowHandler<Models[K]>] }
  /** Pairs of a model and the function that receives its rows. The key is a name for `write('orders', rows)`. */
  readonly routes?: { readonly [K in keyof Named]: readonly [model: Named[K], handler: RowHandler<Named[K]>] }
  /**
   * Returns the key of a row. With several writers, rows with the same key are delivered in order, one delivery after another. Default: in
   * any order.
   */
  readonly key?: RowKey<RowOf<Models[number] | Named[keyof Named]>>
  open?(env: SinkEnv): unknown
  clear?(scope: SinkScope, model: RowModel): unknown
  finish?(scope: SinkScope): unknown
  discard?(scope: SinkScope): unknown
  close?(): unknown
}

/** A sink with the methods `on0`, `on1` …, one for each model in `on`, and a method for each name in `routes`. */
export type DefinedSink<Models extends readonly RowModel[], Named extends RouteMap = Record<never, never>> = Sink & {
  readonly [K in keyof Models & `${number}` as `on${K}`]: (rows: RowOf<Models[K]>[], batch: SinkBatch) => unknown
} & {
  readonly [K in keyof Named]: (rows: RowOf<Named[K]>[], batch: SinkBatch) => unknown
} & { readonly [namedRows]?: { readonly [K in keyof Named]: RowInputOf<Named[K]> } }

const CHECKS: OptionChecks<SinkDefinition> = {
  name: aText,
  ...RULE_CHECKS,
  on: anything,
  routes: anything,
  open: aFunction,
  clear: aFunction,
  finish: aFunction,
  discard: aFunction,
  close: aFunction,
}

/** The names of a sink's own methods, and of the methods that `on` creates. */
const TAKEN_NAME = /^(?:open|clear|finish|discard|close|constructor|on\d+)$/

const EXAMPLE = "{ name: 'orders', on: [[Order, (rows) => …]] }"

/**
 * Creates a {@link Sink} class from functions. The models determine the types of the rows.
 *
 * @throws PikoError `SINK_FAILED` naming every unknown or unusable option
 * @example
 * const Orders = defineSink({
 *   name: 'orders',
 *   on: [[Order, async (rows, batch) => table.replace(batch, rows)]],
 *   clear: (scope) => table.clear(scope),
 * })
 */
export function defineSink<
  const Models extends readonly RowModel[] = readonly [],
  const Named extends RouteMap = Record<never, never>,
>(definition: SinkDefinition<Models, Named>): SinkClass<DefinedSink<Models, Named>> {
  const { name, rules, routes } = checked(definition)

  class Defined extends Sink {}
  Object.defineProperty(Defined, 'name', { value: name })
  for (const rule of RULE_NAMES) {
    if (rules[rule] !== undefined) Object.defineProperty(Defined, rule, { value: rules[rule], enumerable: true })
  }
  const define = (method: string, value: unknown): void => {
    Object.defineProperty(Defined.prototype, method, { value, configurable: true, writable: true })
  }
  for (const { method, model, handler } of routes) {
    // Each sink gets its own function, because two sinks may use the same handler, but a mark belongs to one sink.
    const marked: RowHandler<RowModel> = (rows, batch) => handler(rows, batch)
    mark(marked, model)
    define(method, marked)
  }
  const { open, clear, finish, discard, close } = definition as Record<
    'open' | 'clear' | 'finish' | 'discard' | 'close',
    unknown
  >
  if (open !== undefined) define('open', (env: SinkEnv) => definition.open?.(env))
  if (clear !== undefined) define('clear', (scope: SinkScope, model: RowModel) => definition.clear?.(scope, model))
  if (finish !== undefined) define('finish', (scope: SinkScope) => definition.finish?.(scope))
  if (discard !== undefined) define('discard', (scope: SinkScope) => definition.discard?.(scope))
  if (close !== undefined) define('close', () => definition.close?.())
  return Defined as unknown as SinkClass<DefinedSink<Models, Named>>
}

interface DefinedRoute {
  readonly method: string
  readonly model: RowModel
  readonly handler: RowHandler<RowModel>
}

interface CheckedSink {
  readonly name: string
  readonly rules: SinkRules
  readonly routes: readonly DefinedRoute[]
}

function checked(definition: unknown): CheckedSink {
  const { options, problems } = readOptions<SinkDefinition>(definition, CHECKS, EXAMPLE, ['name'])
  const { name, on, routes, ...rules } = options
  const pairs = pairsOf(on)
  const named = namedOf(routes)
  const given = [...pairs.routes, ...named.routes]
  const twice = named.routes.filter(
    ({ model }) =>
      given.find((one) => one.model === model)?.model === model &&
      given.filter((one) => one.model === model).length > 1,
  )
  const all = [...problems, ...pairs.problems, ...named.problems, ...misfits(definition)]
  for (const { method } of twice) all.push(`routes.${method} has the model of another route; expected each model once`)
  if (on === undefined && routes === undefined) {
    all.push('it receives nothing; expected on: [[model, handler], …] or routes: { name: [model, handler] }')
  }
  if (name === undefined || all.length > 0) throw invalidSink(propertyOf(definition, 'name'), all)
  return { name, rules, routes: [...pairs.routes, ...named.routes] }
}

interface ReadRoutes {
  readonly routes: readonly DefinedRoute[]
  readonly problems: readonly string[]
}

function pairsOf(on: unknown): ReadRoutes {
  if (on === undefined) return { routes: [], problems: [] }
  const given: readonly unknown[] = Array.isArray(on) ? on : []
  if (given.length === 0) return { routes: [], problems: ['it receives nothing; expected on: [[model, handler], …]'] }
  const problems: string[] = []
  const seen = new Set<unknown>()
  const routes = given.flatMap((pair, index): DefinedRoute[] => {
    const route = pairOf(pair, `on${index}`)
    if (!route) {
      problems.push(`on[${index}] is ${describe(pair)}; expected [zod schema or class, function]`)
      return []
    }
    if (seen.has(route.model)) problems.push(`on[${index}] has the model of an earlier pair; expected each model once`)
    seen.add(route.model)
    return [route]
  })
  return { routes, problems }
}

function namedOf(named: unknown): ReadRoutes {
  if (named === undefined) return { routes: [], problems: [] }
  const given = isObject(named) && !Array.isArray(named) ? Object.entries(named) : []
  if (given.length === 0) {
    return { routes: [], problems: [`routes is ${describe(named)}; expected { name: [model, handler] }`] }
  }
  const problems: string[] = []
  const routes = given.flatMap(([method, pair]): DefinedRoute[] => {
    const route = pairOf(pair, method)
    if (!route) problems.push(`routes.${method} is ${describe(pair)}; expected [zod schema or class, function]`)
    if (TAKEN_NAME.test(method))
      problems.push(`routes.${method} has the name of a method of every sink; choose another`)
    return route ? [route] : []
  })
  return { routes, problems }
}

function pairOf(pair: unknown, method: string): DefinedRoute | undefined {
  const [model, handler] = Array.isArray(pair) ? (pair as unknown[]) : []
  if (!isRowModel(model) || typeof handler !== 'function') return undefined
  return { method, model, handler: handler as RowHandler<RowModel> }
}
