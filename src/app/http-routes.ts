import { describe, PikoError } from '../errors.ts'

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** A request to a route of your own. */
export interface HttpRequest {
  readonly method: string
  /** The URL with its query: `/orders/7?full=1`. */
  readonly url: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The parsed JSON; undefined without a body. */
  readonly body: unknown
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal
}

/** A route of your own on the server of the app. */
export interface HttpRoute {
  readonly method: HttpMethod | readonly HttpMethod[]
  /** The path, such as `/orders/:id`. It must not be below `/api/v1`. */
  readonly path: string
  /**
   * Returns the answer: a value to send as JSON, a string, a stream, or a `Response` with a status and headers. Undefined sends status 204
   * without a body.
   */
  readonly handler: (request: HttpRequest) => unknown
}

/** Runs before each of your own routes. If it returns a value, that value is the answer, and the route is not called. */
export type HttpMiddleware = (request: HttpRequest) => unknown

/** A fastify plugin. The parameter has the type `never`, so that this file need not import fastify. Declare yours as `FastifyInstance`. */
export type HttpPlugin = (server: never) => unknown

/** The user's routes, in addition to Piko's own. */
export interface HttpAdditions {
  readonly routes: readonly HttpRoute[]
  readonly middlewares: readonly HttpMiddleware[]
  readonly plugins: readonly HttpPlugin[]
}

const RESERVED = '/api/v1'

/** Your own routes on the server of the app: `app.http`. Add them before `app.start()`. */
export class HttpRoutes {
  readonly #isStarted: () => boolean
  readonly #routes: HttpRoute[] = []
  readonly #middlewares: HttpMiddleware[] = []
  readonly #plugins: HttpPlugin[] = []

  constructor(isStarted: () => boolean) {
    this.#isStarted = isStarted
  }

  /**
   * Adds a route.
   *
   * @throws PikoError `USAGE` after the start, or for a path that is reserved
   * @example
   * app.http.route({ method: 'GET', path: '/orders/:id', handler: ({ params }) => orders.find(params.id) })
   */
  route(route: HttpRoute): this {
    this.#assertOpen('route')
    const { path, handler } = route
    if (typeof path !== 'string' || !path.startsWith('/') || path === RESERVED || path.startsWith(`${RESERVED}/`)) {
      throw new PikoError(
        'USAGE',
        `app.http.route: path is ${describe(path)}; expected one that begins with "/" and is not below ${RESERVED}`,
        { details: { path } },
      )
    }
    if (typeof handler !== 'function')
      throw new PikoError('USAGE', `app.http.route: handler is ${describe(handler)}; expected a function`)
    this.#routes.push(route)
    return this
  }

  /** Adds a function that runs before each of these routes, in the order of the calls. @throws PikoError `USAGE` after the start */
  use(middleware: HttpMiddleware): this {
    this.#assertOpen('use')
    if (typeof middleware !== 'function')
      throw new PikoError('USAGE', `app.http.use got ${describe(middleware)}; expected a function`)
    this.#middlewares.push(middleware)
    return this
  }

  /**
   * Adds a fastify plugin, for what routes and middlewares can't do.
   *
   * @throws PikoError `USAGE` after the start
   * @example
   * app.http.register(async (server: FastifyInstance) => { await server.register(multipart) })
   */
  register(plugin: HttpPlugin): this {
    this.#assertOpen('register')
    if (typeof plugin !== 'function')
      throw new PikoError('USAGE', `app.http.register got ${describe(plugin)}; expected a fastify plugin`)
    this.#plugins.push(plugin)
    return this
  }

  /** The routes, middlewares and plugins that the user has added. */
  get additions(): HttpAdditions {
    return { routes: this.#routes, middlewares: this.#middlewares, plugins: this.#plugins }
  }

  #assertOpen(call: string): void {
    if (this.#isStarted()) throw new PikoError('USAGE', `app.http.${call} was called after start(); call it before`)
  }
}
