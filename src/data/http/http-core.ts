import { askAbout } from '../../calls/call-checks.ts'
import { toError } from '../../errors.ts'
import { attempted } from '../../calls/retry.ts'
import { systemClock } from '../../clock.ts'
import type { RetryPolicy } from '../../run/retry.ts'
import { retryTimingOf } from '../../run/retry-errors.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { readAll } from '../../http-client/read-all.ts'
import { bodyStream, valueOf } from './http-body.ts'
import { HttpError } from './http-error.ts'
import { failureOf } from './http-failure.ts'
import { type Answer, HttpHops } from './http-hops.ts'
import { type Plan, planOf, type Try } from './http-plan.ts'
import type { HttpOptions, HttpRequest, HttpResponse, HttpStream } from './http-types.ts'
import { Transport } from './transport.ts'

const DEFAULT_CONNECTIONS = 10
const DEFAULT_CONNECT: Duration = '10s'

/** The connections and defaults of one client. */
export class HttpCore {
  readonly #options: HttpOptions
  readonly #origin: URL | undefined
  readonly #transport: Transport
  readonly #hops: HttpHops

  /** @param options already checked */
  constructor(options: HttpOptions) {
    const { origin, connections = DEFAULT_CONNECTIONS, connectTimeout = DEFAULT_CONNECT, tls } = options
    this.#options = options
    this.#origin = origin === undefined ? undefined : new URL(origin)
    this.#transport = new Transport({ connections, connectTimeoutMs: durationMs(connectTimeout), tls })
    this.#hops = new HttpHops(this.#transport, this.#origin?.origin, options)
  }

  /** Sends a request, with retries, and reads the whole response, as `Http.request` describes. */
  async request(request: HttpRequest, parent: AbortSignal | undefined): Promise<HttpResponse> {
    const plan = planOf(request, this.#origin, this.#options)
    const linked = new LinkedSignal(parent, plan.signal)
    try {
      return await retried(plan, linked.signal, (tried) => this.#whole(tried, linked.signal))
    } finally {
      linked.release()
    }
  }

  async #whole(tried: Try, signal: AbortSignal): Promise<HttpResponse> {
    const { plan, attempt } = tried
    const { body, head } = await this.#hops.answer(tried, signal, false)
    try {
      const bytes = await readAll(body, plan.maxBytes)
      return { ...head, data: valueOf(bytes, head.headers, plan), attempts: attempt }
    } catch (thrown) {
      body.destroy()
      signal.throwIfAborted()
      throw failureOf(thrown, tried, head)
    }
  }

  /** Sends a request and returns its response as a stream, as `Http.stream` describes. */
  async stream(request: HttpRequest, parent: AbortSignal | undefined): Promise<HttpStream> {
    const plan = planOf(request, this.#origin, this.#options)
    const linked = new LinkedSignal(parent, plan.signal)
    const { signal } = linked
    try {
      return await retried(plan, signal, async (tried) =>
        streamOf(await this.#hops.answer(tried, signal, true), tried, linked),
      )
    } catch (error) {
      linked.release()
      throw error
    }
  }

  /** Ends all requests with `STOPPED`. */
  close(): Promise<void> {
    return this.#transport.close()
  }
}

function streamOf({ body: source, head }: Answer, tried: Try, linked: LinkedSignal): HttpStream {
  const { plan } = tried
  const body = bodyStream(source, plan.hasOwnLimit ? plan.maxBytes : Infinity, (thrown) =>
    linked.signal.aborted ? toError(linked.signal.reason) : failureOf(thrown, tried, head),
  )
  const closed = new Promise<void>((resolve) => {
    body.once('close', () => {
      linked.release()
      resolve()
    })
  })
  const close = (): Promise<void> => {
    body.destroy()
    return closed
  }
  return { ...head, body, close, [Symbol.asyncDispose]: close }
}

/** Sends a request, and repeats it as often as its plan allows. */
function retried<T>(plan: Plan, signal: AbortSignal, once: (tried: Try) => Promise<T>): Promise<T> {
  const policy: RetryPolicy = { ...plan.retry, retryIf: (error) => mayHelp(plan, error) }
  return attempted((_signal, attempt) => once({ plan, attempt }), policy, signal)
}

/** Whether another try is allowed and may succeed. */
function mayHelp({ mayRepeat, retried, retry }: Plan, error: Error): boolean {
  if (!mayRepeat || !(error instanceof HttpError) || !retried.some((kind) => kind === error.kind)) return false
  const timing = retryTimingOf(error)
  const waitMs =
    timing === undefined ? 0 : 'afterMs' in timing ? timing.afterMs : timing.at.getTime() - systemClock.now()
  // If the delay is too long, the request fails, and the job's retry waits instead. A run that waits in the queue holds no slot.
  return waitMs <= retry.maxMs && (retry.retryIf === undefined || askAbout('retryIf', retry.retryIf, error))
}
