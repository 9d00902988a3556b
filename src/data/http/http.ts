import { readCall } from '../../calls/call-checks.ts'
import { aConcurrency } from '../../calls/concurrency.ts'
import { aSource } from '../../calls/drawn.ts'
import { fanOut } from '../../calls/fan-out.ts'
import { PikoError, toError } from '../../errors.ts'
import { anAbortSignal, type OptionChecks } from '../../options.ts'
import { defineResource } from '../../resource/define-resource.ts'
import type { ResourceClass } from '../../resource/resource.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { CLIENT_CHECKS, isBody } from './http-checks.ts'
import { HttpCore } from './http-core.ts'
import { HttpError } from './http-error.ts'
import type {
  BatchOptions,
  DataOf,
  Http,
  HttpOptions,
  HttpRequest,
  HttpRequestOptions,
  HttpResponse,
  HttpResult,
  HttpStream,
} from './http-types.ts'

const DEFAULT_BATCH_CONCURRENCY = 10

const FORM = { call: 'http', checks: CLIENT_CHECKS, example: "{ origin: 'https://api.example.com' }" }
const BATCH = {
  call: 'http.batch',
  checks: { concurrency: aConcurrency, signal: anAbortSignal } satisfies OptionChecks<BatchOptions>,
  example: '{ concurrency: 10 }',
}

/** Sends requests over the connections of a core. Aborting the signal ends them. */
class HttpCalls implements Http {
  readonly #core: HttpCore
  readonly #signal: AbortSignal | undefined

  constructor(core: HttpCore, signal?: AbortSignal) {
    this.#core = core
    this.#signal = signal
  }

  async request<const R extends HttpRequest>(request: R): Promise<HttpResponse<DataOf<R>>> {
    this.#signal?.throwIfAborted()
    return (await this.#core.request(request, this.#signal)) as HttpResponse<DataOf<R>>
  }

  async get<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>> {
    return (await this.request({ ...options, url, method: 'GET' })) as HttpResponse<DataOf<R>>
  }

  async post<const R extends HttpRequestOptions = Record<never, never>>(
    url: string | URL,
    body?: unknown,
    options?: R,
  ): Promise<HttpResponse<DataOf<R>>> {
    const content = body === undefined ? {} : isBody(body) ? { body } : { json: body }
    return (await this.request({ ...options, ...content, url, method: 'POST' })) as HttpResponse<DataOf<R>>
  }

  async batch<const R extends HttpRequest>(
    requests: Iterable<R> | AsyncIterable<R>,
    options: BatchOptions = {},
  ): Promise<HttpResult<DataOf<R>>[]> {
    const { concurrency = DEFAULT_BATCH_CONCURRENCY, signal } = readCall<BatchOptions>(
      BATCH,
      { requests: [requests, aSource] },
      options,
    )
    const linked = new LinkedSignal(this.#signal, signal)
    try {
      const ends = await fanOut(requests, (one) => this.#core.request(one, linked.signal), concurrency, linked.signal)
      return ends.map((end) => resultOf(end as PromiseSettledResult<HttpResponse<DataOf<R>>>))
    } finally {
      linked.release()
    }
  }

  async stream(request: HttpRequest): Promise<HttpStream> {
    this.#signal?.throwIfAborted()
    return this.#core.stream(request, this.#signal)
  }
}

function resultOf<T>(end: PromiseSettledResult<HttpResponse<T>>): HttpResult<T> {
  if (end.status === 'fulfilled') return end.value
  const error = toError(end.reason)
  const { status, headers } = error instanceof HttpError ? error : { status: undefined, headers: undefined }
  return { status, headers, error }
}

/**
 * An HTTP client with its own connections, for use outside of a run. In a job, use {@link http}.
 *
 * @example
 * await using api = new HttpClient({ origin: 'https://api.example.com' })
 * const { data } = await api.get('/orders', { schema: Orders })
 */
export class HttpClient extends HttpCalls implements AsyncDisposable {
  readonly #core: HttpCore

  /** @throws PikoError `USAGE` naming all problems */
  constructor(options: HttpOptions = {}) {
    const core = new HttpCore(readCall<HttpOptions>(FORM, {}, options))
    super(core)
    this.#core = core
  }

  /** Returns a client with the same connections. Aborting the signal ends its requests. */
  within(signal: AbortSignal): Http {
    return new HttpCalls(this.#core, signal)
  }

  /** Ends the requests in progress with `STOPPED`, and closes the connections. */
  close(): Promise<void> {
    return this.#core.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * A resource that sends HTTP requests. All runs of a process share its connections; a run's requests end with the run.
 *
 * @throws PikoError `USAGE` naming all problems
 * @example
 * const sync = defineJob(
 *   { id: 'sync', resources: { api: http({ origin: 'https://api.example.com' }) } },
 *   async (ctx) => (await ctx.resources.api.get('/orders')).data,
 * )
 */
export function http(options: HttpOptions = {}): ResourceClass<Http> {
  const checked = readCall<HttpOptions>(FORM, {}, options)
  const { name, origin } = checked
  return defineResource({
    name: name ?? (origin === undefined ? 'http' : `http ${new URL(origin).host}`),
    open: () => new HttpClient(checked),
    async *acquire(ctx, client) {
      const linked = new LinkedSignal(ctx.signal)
      try {
        yield client.within(linked.signal)
      } finally {
        linked.abort(new PikoError('STOPPED', `run ${ctx.runId} has returned its HTTP client`))
        linked.release()
      }
    },
    close: (client) => client.close(),
  })
}
