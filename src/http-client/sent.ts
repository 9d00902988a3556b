import type { Readable } from 'node:stream'

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

/** A request in the form in which it is sent. */
export interface Sent {
  readonly method: HttpMethod
  readonly url: URL
  /** The headers by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | Readable | undefined
}
