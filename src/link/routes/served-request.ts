import type { RouteRequest } from './route-types.ts'
import type { FoundRoute } from './matcher.ts'

export interface ServedRequestInit {
  readonly path: string
  readonly found: FoundRoute | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly meta: unknown
  readonly level: number
  readonly via: 'link' | 'http'
}

/** A request while it is served. The transport may be a link or HTTP. */
export class ServedRequest implements RouteRequest {
  readonly path: string
  readonly route: string
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  meta: unknown
  body: unknown = undefined
  readonly via: 'link' | 'http'
  readonly level: number
  readonly state: Record<string, unknown> = {}
  #aborter: AbortController | undefined
  #reason: Error | undefined

  constructor({ path, found, headers, meta, level, via }: ServedRequestInit) {
    this.path = path
    this.route = found?.route ?? ''
    this.params = found?.params ?? {}
    this.headers = headers
    this.meta = meta
    this.level = level
    this.via = via
  }

  /** The signal is created only if the handler uses it. */
  get signal(): AbortSignal {
    if (!this.#aborter) {
      this.#aborter = new AbortController()
      if (this.#reason) this.#aborter.abort(this.#reason)
    }
    return this.#aborter.signal
  }

  get isAborted(): boolean {
    return this.#reason !== undefined
  }

  abort(reason: Error): void {
    this.#reason ??= reason
    this.#aborter?.abort(reason)
  }

  /** Adds the bytes of an upload to the request itself, because a copy would lose the getter of its signal. */
  withStream(open: () => unknown): this {
    let stream: unknown
    return Object.defineProperty(this, 'stream', { get: () => (stream ??= open()), configurable: true })
  }
}
