import type { CallOptions } from './client-types.ts'
import { errorOf, PikoError } from './client-error.ts'
import { assertKnown } from './known-options.ts'
import type { Operation } from './operation.ts'

export interface ClientOptions {
  /** The address of a node, such as `http://127.0.0.1:9464`. Add a path if a proxy requires one. */
  readonly url: string
  /** A token that `piko tokens create` has printed. */
  readonly token?: string | undefined
  /** The function that sends requests. Default: the platform's `fetch`. */
  readonly fetch?: typeof fetch
}

const API = '/api/v1'
const DEFAULT_TIMEOUT_MS = 60_000
/** A timer with a longer delay would fire immediately. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1
const NO_CONTENT = 204

type Input = Readonly<Record<string, unknown>>

/** Sends requests to one node. */
export class Transport {
  readonly #base: string
  readonly #token: string | undefined
  readonly #fetch: typeof fetch

  /** @throws PikoError `USAGE` for a wrong address or an unknown option */
  constructor(options: ClientOptions) {
    assertKnown('createClient', options, ['url', 'token', 'fetch'])
    const { url, token, fetch = globalThis.fetch } = options
    this.#base = baseOf(url)
    this.#token = token
    this.#fetch = fetch
  }

  async call([method, path, inQuery = []]: Operation, input: Input, options: CallOptions = {}): Promise<unknown> {
    assertKnown(`the call of ${method} ${path}`, options, ['reason', 'signal', 'headers', 'timeoutMs'])
    const { reason } = options
    const rest: Record<string, unknown> = { ...input, ...(reason !== undefined && { reason }) }
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = rest[name]
      delete rest[name]
      if (value === undefined || value === null || value === '')
        throw new PikoError('USAGE', `${name} is missing; ${method} ${path} needs it`)
      return encodeURIComponent(textOf(value))
    })
    const hasBody = method === 'POST' || method === 'PUT'
    const isQuery = ([name]: [string, unknown]): boolean => !hasBody || inQuery.includes(name)
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(rest).filter(isQuery))
      if (value !== undefined) query.set(name, textOf(value))
    const body = Object.fromEntries(Object.entries(rest).filter((entry) => !isQuery(entry)))
    const text = query.toString()
    const response = await this.request(`${filled}${text === '' ? '' : `?${text}`}`, {
      method,
      ...(hasBody && { body: JSON.stringify(body) }),
      headers: {
        accept: 'application/json',
        ...(hasBody && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      signal: signalOf(options),
    })
    if (response.status === NO_CONTENT) return undefined
    return this.#read(response)
  }

  async #read(response: Response): Promise<unknown> {
    const text = await response.text()
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      throw new PikoError('ANSWER_INVALID', `${response.url} answered with something that is not JSON`, {
        status: response.status,
        cause,
      })
    }
  }

  /**
   * Sends a request, and returns its response.
   *
   * @throws PikoError with the error that the server returns, `ANSWER_INVALID`, `UNREACHABLE` or `TIMEOUT`; or the reason of the signal
   */
  async request(path: string, init: RequestInit & { readonly headers: Record<string, string> }): Promise<Response> {
    const headers = { ...init.headers, ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }) }
    let response: Response
    try {
      const { fetch } = { fetch: this.#fetch }
      response = await fetch(`${this.#base}${path}`, { ...init, headers })
    } catch (cause) {
      if (init.signal?.aborted) throw isTimeout(init.signal.reason) ? timedOut(this.#base, cause) : cause
      throw new PikoError(
        'UNREACHABLE',
        `${this.#base} does not answer: ${reasonOf(cause)}; check the address and the node`,
        {
          cause,
        },
      )
    }
    if (!response.ok) throw await errorOf(response)
    return response
  }
}

function baseOf(url: string): string {
  try {
    const { protocol, origin, pathname } = new URL(url)
    if (protocol === 'http:' || protocol === 'https:') return `${origin}${pathname.replace(/\/+$/, '')}${API}`
  } catch {
    // The error below says what is expected.
  }
  throw new PikoError(
    'USAGE',
    `url is ${JSON.stringify(url)}; expected the address of a node, such as http://127.0.0.1:9464`,
  )
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(',')
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function signalOf({ signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions): AbortSignal {
  const timeout = AbortSignal.timeout(Math.min(timeoutMs, LONGEST_TIMEOUT_MS))
  return signal ? AbortSignal.any([signal, timeout]) : timeout
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

function timedOut(base: string, cause: unknown): PikoError {
  return new PikoError('TIMEOUT', `${base} did not answer in time`, { cause })
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? cause.cause.message || cause.message : cause.message
}
