import type { z } from 'zod'
import { describe, PikoError } from '../../errors.ts'
import { aFunction, expecting, listOf, oneOf, type OptionChecks, problemsText, readOptions } from '../../options.ts'
import type {
  Handler,
  RouteEntry,
  RouteKind,
  RouteOptions,
  RoutesOptions,
  StreamHandler,
  UploadHandler,
  UploadOptions,
} from './route-types.ts'
import { syntaxProblem } from './router.ts'

const aPath = expecting('a path such as "/user"', (value) => typeof value === 'string' && isPath(value))
const aSchema = expecting(
  'a zod schema',
  (value) => typeof value === 'object' && value !== null && 'safeParseAsync' in value,
)

const OPTIONS: OptionChecks<RoutesOptions> = {
  prefix: aPath,
  use: listOf('functions', aFunction),
  before: listOf('functions', aFunction),
  after: listOf('functions', aFunction),
  onError: aFunction,
  fallback: aFunction,
}

const ROUTE_OPTIONS = {
  in: aSchema,
  out: aSchema,
  meta: aSchema,
  method: oneOf('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
  spool: expecting(
    '"memory", "file" or a number of bytes',
    (value) => value === 'memory' || value === 'file' || (Number.isSafeInteger(value) && Number(value) >= 0),
  ),
}

/** Routes with a common prefix, middleware and error handler. They serve both links and HTTP. */
export class Routes {
  readonly options: RoutesOptions
  readonly #entries = new Map<string, RouteEntry>()
  readonly #mounted: Routes[] = []
  readonly #watchers = new Set<() => void>()

  constructor(options: RoutesOptions) {
    this.options = options
  }

  get entries(): readonly RouteEntry[] {
    return [...this.#entries.values()]
  }

  get mounted(): readonly Routes[] {
    return this.#mounted
  }

  /**
   * Adds a route that returns one value.
   *
   * @param path `/list`, or `/:id` with a parameter
   * @throws PikoError `USAGE` if the path or an option is wrong, or the path is taken
   */
  on<Out>(path: string, handler: Handler<unknown, Out>): this
  on<In extends z.ZodType, Out extends z.ZodType>(
    path: string,
    options: RouteOptions<In, Out>,
    handler: Handler<z.output<In>, z.input<Out>>,
  ): this
  on(path: string, first: unknown, second?: unknown): this {
    return this.#add('call', path, first, second)
  }

  /** Adds a route that returns many values: JSON values or bytes, depending on the first one. @throws PikoError `USAGE` */
  stream<Item>(path: string, handler: StreamHandler<unknown, Item>): this
  stream<In extends z.ZodType, Out extends z.ZodType>(
    path: string,
    options: RouteOptions<In, Out>,
    handler: StreamHandler<z.output<In>, z.input<Out> | Uint8Array>,
  ): this
  stream(path: string, first: unknown, second?: unknown): this {
    return this.#add('stream', path, first, second)
  }

  /** Adds a route that receives a stream of bytes. @throws PikoError `USAGE` */
  upload<Out>(path: string, handler: UploadHandler<unknown, Out>): this
  upload<Meta extends z.ZodType, Out extends z.ZodType>(
    path: string,
    options: UploadOptions<Meta, Out>,
    handler: UploadHandler<z.output<Meta>, z.input<Out>>,
  ): this
  upload(path: string, first: unknown, second?: unknown): this {
    return this.#add('upload', path, first, second)
  }

  /**
   * Adds other routes inside these: prefixes are joined, and this middleware wraps theirs.
   *
   * @throws PikoError `USAGE` if `other` is not the result of `defineRoutes`, or contains these routes
   */
  mount(other: Routes): this {
    if (!(other instanceof Routes)) throw usage(`mount got ${describe(other)}; expected the result of defineRoutes`)
    if (other === this || other.#contains(this)) throw usage('routes cannot contain themselves')
    if (!this.#mounted.includes(other)) this.#mounted.push(other)
    other.#watchers.add(this.#changed)
    this.#changed()
    return this
  }

  /**
   * Removes inner routes, or the route with this path. Also works while links are open.
   *
   * @returns whether it existed
   */
  remove(which: Routes | string): boolean {
    const isRemoved = typeof which === 'string' ? this.#entries.delete(which) : this.#unmount(which)
    if (isRemoved) this.#changed()
    return isRemoved
  }

  /**
   * Registers a callback for each change, including changes in inner routes.
   *
   * @returns a function that removes it
   */
  watch(callback: () => void): () => void {
    this.#watchers.add(callback)
    return () => void this.#watchers.delete(callback)
  }

  readonly #changed = (): void => {
    for (const watcher of this.#watchers) watcher()
  }

  #unmount(other: Routes): boolean {
    const index = this.#mounted.indexOf(other)
    if (index === -1) return false
    this.#mounted.splice(index, 1)
    other.#watchers.delete(this.#changed)
    return true
  }

  #contains(other: Routes): boolean {
    return this.#mounted.some((one) => one === other || one.#contains(other))
  }

  #add(kind: RouteKind, path: string, first: unknown, second: unknown): this {
    const [given, handler] = second === undefined ? [{}, first] : [first, second]
    const { options, problems } = readOptions<Partial<Record<keyof typeof ROUTE_OPTIONS, unknown>>>(
      given,
      ROUTE_OPTIONS,
      '{ in: z.object({ page: z.int() }) }',
    )
    const all = [...problems]
    if (!isPath(path))
      all.push(`the path is ${describe(path)}; expected a string that begins with "/", such as "/list"`)
    else if (syntaxProblem(path) !== undefined)
      all.push(`the path is ${describe(path)}; expected a path such as "/user/:id": ${syntaxProblem(path)}`)
    else if (this.#entries.has(path)) all.push(`the path ${describe(path)} has a route already; remove it first`)
    if (typeof handler !== 'function') all.push(`the handler is ${describe(handler)}; expected a function`)
    if (all.length > 0)
      throw new PikoError('USAGE', problemsText(`route ${describe(path)}`, all), { details: { problems: all } })
    this.#entries.set(path, {
      kind,
      path,
      method: (options.method as RouteEntry['method'] | undefined) ?? 'POST',
      in: options.in as z.ZodType | undefined,
      out: options.out as z.ZodType | undefined,
      meta: options.meta as z.ZodType | undefined,
      spool: options.spool as RouteEntry['spool'],
      handler: handler as RouteEntry['handler'],
    })
    this.#changed()
    return this
  }
}

/**
 * Creates routes that links and HTTP servers can serve.
 *
 * @throws PikoError `USAGE` that names every wrong option
 * @example
 * const users = defineRoutes({ prefix: '/user' })
 *   .on('/list', { in: z.object({ page: z.int() }) }, ({ body }) => listUsers(body.page))
 */
export function defineRoutes(options: RoutesOptions = {}): Routes {
  const read = readOptions<RoutesOptions>(options, OPTIONS, "{ prefix: '/user' }")
  if (read.problems.length > 0)
    throw new PikoError('USAGE', problemsText('defineRoutes', read.problems), { details: { problems: read.problems } })
  return new Routes(read.options)
}

function isPath(path: unknown): path is string {
  return (
    typeof path === 'string' && path.length <= 1_000 && (path === '' || path.startsWith('/')) && !/[\s?#]/.test(path)
  )
}

function usage(message: string): PikoError {
  return new PikoError('USAGE', message)
}
