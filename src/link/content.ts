import { Readable } from 'node:stream'
import { wrongCall } from '../call-options.ts'
import { headline } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { jsonCopy, pathText } from '../json/json-copy.ts'
import { CANCEL_CODES, type IncomingMessage } from './carrier/carrier.ts'
import type { Body } from './message/body.ts'
import { assertGoodEnd } from './reply.ts'
import type { Request } from './request.ts'
import { buffersOf, bytesIn, jsonBytes, linesOf } from './routes/replied.ts'
import type { BodyType } from './wire/head.ts'

/** Bytes to send: in memory, or a stream. A stream is read only as fast as the other end accepts its bytes. */
export type Sendable = Uint8Array | Readable | AsyncIterable<Uint8Array | string>

/**
 * Marks an iterable as a source of bytes. Without this mark, only a `Readable` is one: other async iterables are streams of values.
 */
export class Source {
  readonly chunks: AsyncIterable<unknown> | Iterable<unknown>

  constructor(chunks: AsyncIterable<unknown> | Iterable<unknown>) {
    this.chunks = chunks
  }
}

/** A body to send: whole, or from a source. */
export interface Content {
  readonly type: BodyType
  readonly whole?: Buffer
  readonly source?: AsyncIterable<Buffer>
}

/** Converts any value to a body. @throws PikoError `USAGE` if JSON can't represent it */
export function contentOf(body: unknown): Content {
  if (body instanceof Source) return { type: 'raw', source: buffersOf(body.chunks) }
  const bytes = bytesIn(body)
  if (bytes) return { type: 'raw', whole: bytes }
  if (body instanceof Readable) return { type: 'raw', source: buffersOf(body) }
  if (isAsyncIterable(body)) return { type: 'lines', source: linesOf(body) }
  try {
    return { type: 'json', whole: jsonBytes(body) }
  } catch (cause) {
    throw unsendable('body', body, cause)
  }
}

/** The payload of an event as bytes. */
export interface EncodedEvent {
  readonly type: BodyType
  readonly whole: Buffer
}

/** Converts the payload of an event. @throws PikoError `USAGE` if it is a stream, or JSON can't represent it */
export function encodedEvent(payload: unknown): EncodedEvent {
  const { type, whole } = contentOf(payload)
  if (!whole) throw wrongCall('an event over a link', ['payload must be a JSON value or bytes, not a stream'])
  return { type, whole }
}

/** Creates the error for a value that JSON can't represent. It names the wrong parts. */
export function unsendable(name: string, value: unknown, cause: unknown): PikoError {
  const problems = jsonCopy(value).problems.map(({ path, text }) => `${pathText(name, path)} ${text}`)
  const why = problems.length === 0 ? headline(cause) : problems.join('; ')
  return new PikoError('USAGE', `the ${name} can't be sent, because JSON can't represent it: ${why}`, {
    cause,
    details: { problems },
  })
}

/** Returns the body for bytes to send. @throws PikoError `USAGE` if they are neither a buffer nor an iterable */
export function bytesOf(source: unknown): Uint8Array | Source {
  if (source instanceof Uint8Array) return source
  if (isAsyncIterable(source) || isIterable(source)) return new Source(source)
  throw new PikoError(
    'USAGE',
    `the bytes to send over a link are ${describe(source)}; expected a Uint8Array, a stream or an async iterable of bytes`,
  )
}

/** Whether the body can be sent a second time. */
export function isRepeatable(body: unknown): boolean {
  return !(body instanceof Source) && !(body instanceof Readable) && !isAsyncIterable(body)
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && Symbol.iterator in value)
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** Yields the values of a reply: one value for JSON, or the items of a stream. */
export async function* itemsOf(body: Body): AsyncGenerator<unknown, void> {
  if (body.type === 'lines') yield* body.lines()
  else if (body.type === 'raw') yield* body.chunks()
  else yield await body.json()
}

/** How many values of a stream one reply may contain if it is read as a whole. */
const MAX_VALUES = 100_000

/** Reads a reply as one value. */
export async function wholeOf(body: Body): Promise<unknown> {
  if (body.type === 'json') return body.json()
  if (body.type === 'raw') return body.bytes()
  const values: unknown[] = []
  for await (const value of body.lines()) {
    values.push(value)
    if (values.length > MAX_VALUES)
      throw new PikoError('LINK_TOO_LARGE', `the reply has more than ${MAX_VALUES} values; read them with link.stream`)
  }
  return values
}

/** A reply that ends its request when the whole reply has been read. */
export class Watched implements IncomingMessage {
  readonly #reply: IncomingMessage
  readonly #request: Request
  readonly #route: string

  constructor(reply: IncomingMessage, request: Request, route: string) {
    this.#reply = reply
    this.#request = request
    this.#route = route
  }

  get id(): number {
    return this.#reply.id
  }

  get level(): number {
    return this.#reply.level
  }

  get head(): IncomingMessage['head'] {
    return this.#reply.head
  }

  get end(): IncomingMessage['end'] {
    return this.#reply.end
  }

  take(max: number): Buffer | undefined {
    const whole = this.#reply.take(max)
    if (whole) this.#request.end()
    return whole
  }

  async read(): Promise<Buffer | undefined> {
    try {
      const bytes = await this.#reply.read()
      if (bytes) return bytes
      // A reply that failed after it began must not look complete.
      assertGoodEnd(this.#reply, this.#route)
      this.#request.end()
      return undefined
    } catch (error) {
      this.#request.end()
      throw this.#request.errorOf(error)
    }
  }

  used(bytes: Buffer): void {
    this.#reply.used(bytes)
  }

  cancel(code: number, reason: string): void {
    this.#request.cancel(
      code || CANCEL_CODES.unwanted,
      new PikoError('LINK_CANCELLED', `this end cancelled: ${reason}`),
    )
  }

  onCancelled(callback: (reason: PikoError) => void): void {
    this.#reply.onCancelled(callback)
  }

  release(): void {
    this.#reply.release()
  }
}
