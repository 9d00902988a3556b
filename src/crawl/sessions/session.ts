import { isObject, safely } from '../../errors-read.ts'
import type { DownloadSession } from '../downloader.ts'
import type { Cookies } from './cookies.ts'

/** The stored form of a session. */
export interface SessionValue {
  /** The cookie jar as text. */
  readonly cookies: string
  /** The headers that the session sends, by origin. */
  readonly headers: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** The name of the session's proxy: a hash, never the URL. Undefined without a proxy. */
  readonly proxy?: string | undefined
}

/** A session that is used for a request or a login. */
export class CrawlSession implements DownloadSession {
  readonly name: string
  #proxy: string | undefined
  #hasNewProxy = false
  readonly #cookies: Cookies
  readonly #headers: Map<string, Readonly<Record<string, string>>>
  #hasNewHeaders = false

  constructor(name: string, value: SessionValue, jars: (text: string) => Cookies) {
    this.name = name
    this.#proxy = value.proxy
    this.#cookies = safely(() => jars(value.cookies), undefined) ?? jars('')
    this.#headers = new Map(Object.entries(value.headers))
  }

  /** The name of the proxy that all requests of the session use. */
  get proxy(): string | undefined {
    return this.#proxy
  }

  /** Lets the session use this proxy from now on; undefined: its next request chooses another one. */
  stick(proxy: string | undefined): void {
    if (proxy === this.#proxy) return
    this.#proxy = proxy
    this.#hasNewProxy = true
  }

  headersFor(url: string): Readonly<Record<string, string>> {
    return this.#headers.get(new URL(url).origin) ?? {}
  }

  setHeaders(origin: string, headers: Readonly<Record<string, string>>): void {
    this.#hasNewHeaders = true
    const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
    this.#headers.set(origin, { ...this.#headers.get(origin), ...Object.fromEntries(lower) })
  }

  cookiesFor(url: string): string | undefined {
    return this.#cookies.for(url)
  }

  storeCookies(url: string, cookies: readonly string[]): void {
    this.#cookies.store(url, cookies)
  }

  get hasChanged(): boolean {
    return this.#hasNewHeaders || this.#hasNewProxy || this.#cookies.hasChanged
  }

  get value(): SessionValue {
    return {
      cookies: this.#cookies.text(),
      headers: Object.fromEntries(this.#headers),
      ...(this.proxy !== undefined && { proxy: this.proxy }),
    }
  }
}

/** Reads a stored session. Ignores fields of an unexpected type. */
export function readSession(value: unknown): SessionValue {
  if (!isObject(value)) return { cookies: '', headers: {} }
  const { cookies, headers, proxy } = value as Partial<SessionValue>
  return {
    cookies: typeof cookies === 'string' ? cookies : '',
    headers: isObject(headers) ? headers : {},
    ...(typeof proxy === 'string' && { proxy }),
  }
}
