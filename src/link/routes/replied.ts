import { Readable } from 'node:stream'
import { safely, watchStray } from '../../errors-read.ts'
import { isPikoError } from '../../errors.ts'
import { chunksOf } from '../message/chunks-of.ts'
import type { BodyType } from '../wire/head.ts'
import { Answer } from './answer.ts'

/** The reply to send: its whole body, or pieces of it. */
export interface Reply {
  readonly status: number
  readonly type: BodyType
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly body: Buffer | AsyncIterable<Buffer>
  /** Ends the source of a body that is no longer needed, even if nothing was read from it. */
  readonly drop?: () => void
}

/** The reply of a stream. It has its own class, so that middleware can't confuse it with a value. */
export class Begun {
  readonly reply: Reply

  constructor(reply: Reply) {
    this.reply = reply
  }
}

/** Error codes that tell the caller what to correct, and their statuses. Any other error is sent as `INTERNAL` without its message. */
const SHOWN: Readonly<Record<string, number>> = { INPUT_INVALID: 422, LINK_NO_ROUTE: 404, LINK_TOO_LARGE: 413 }
const FAILED = 500
const LINE_FEED = Buffer.from('\n')

/**
 * Creates the reply for the result of a handler.
 *
 * @throws if JSON can't represent it
 */
export function replyOf(result: unknown): Reply {
  if (result instanceof Answer) return replyWith(result.status, result.body, result.headers)
  return replyWith(200, result, undefined)
}

function replyWith(status: number, body: unknown, headers: Reply['headers']): Reply {
  const bytes = bytesIn(body)
  if (bytes) return { status, type: 'raw', headers, body: bytes }
  if (body instanceof Readable) {
    const source = withoutStrayErrors(body)
    return { status, type: 'raw', headers, body: buffersOf(source), drop: () => void source.destroy() }
  }
  return { status, type: 'json', headers, body: jsonBytes(body) }
}

/** Returns the bytes of a buffer or typed array; undefined for any other value. */
export function bytesIn(value: unknown): Buffer | undefined {
  if (value instanceof Uint8Array) return asBuffer(value)
  if (value instanceof ArrayBuffer) return Buffer.from(value)
  return ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : undefined
}

/** Encodes a value as JSON in bytes. Undefined becomes no bytes. @throws TypeError if JSON can't represent it */
export function jsonBytes(value: unknown): Buffer {
  // JSON would silently write them as `{}`.
  if (value instanceof Map || value instanceof Set) throw new TypeError('JSON cannot represent a Map or Set')
  return value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value) ?? '')
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Yields the chunks of a stream of bytes or strings as buffers. */
export async function* buffersOf(
  source: AsyncIterable<unknown> | Iterable<unknown>,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source instanceof Readable ? chunksOf(source) : source) {
    if (typeof chunk === 'string') yield Buffer.from(chunk)
    else if (chunk instanceof Uint8Array) yield asBuffer(chunk)
    else throw new TypeError(`a stream of bytes yielded a ${typeof chunk}`)
  }
}

/** Yields values as lines of JSON. */
export async function* linesOf(values: AsyncIterable<unknown>): AsyncGenerator<Buffer, void, undefined> {
  for await (const value of values) yield Buffer.concat([Buffer.from(JSON.stringify(value) ?? 'null'), LINE_FEED])
}

/**
 * Creates the reply for a stream that a handler has returned. If the first item is bytes, the reply is a stream of bytes, otherwise of
 * lines of JSON.
 *
 * @throws the handler's error, if it fails before the first item
 */
export async function streamReply(items: AsyncIterable<unknown>): Promise<Reply> {
  const iterator = items[Symbol.asyncIterator]()
  const first = await iterator.next()
  const rest = resumed(first, iterator)
  const isRaw = first.done !== true && first.value instanceof Uint8Array
  return {
    status: 200,
    type: isRaw ? 'raw' : 'lines',
    headers: undefined,
    body: isRaw ? buffersOf(rest) : linesOf(rest),
    // A generator that has not started does not end its own source.
    drop: () => watchStray(iterator.return?.()),
  }
}

/** Ends the source of a handler's result that will not be sent. */
export function dropResult(result: unknown): void {
  if (result instanceof Begun) return result.reply.drop?.()
  const body = result instanceof Answer ? result.body : result
  if (body instanceof Readable) withoutStrayErrors(body).destroy()
}

/** Prevents a stream that fails before it is read from ending the process. Its reader still gets the error. */
export function withoutStrayErrors<T>(result: T): T {
  const body = result instanceof Answer ? result.body : result
  if (body instanceof Readable) body.on('error', () => {})
  return result
}

async function* resumed(first: IteratorResult<unknown>, iterator: AsyncIterator<unknown>): AsyncGenerator<unknown> {
  let isEnded = first.done === true
  try {
    if (isEnded) return
    yield first.value
    for (;;) {
      const next = await iterator.next()
      isEnded = next.done === true
      if (isEnded) return
      yield next.value
    }
  } catch (error) {
    isEnded = true
    throw error
  } finally {
    if (!isEnded) await iterator.return?.()
  }
}

/** Creates the reply for an error that no `onError` has handled. It contains only what the caller can correct. */
export function errorReply(error: unknown): Answer {
  const code = isPikoError(error) ? error.code : ''
  const status = Object.hasOwn(SHOWN, code) ? SHOWN[code] : undefined
  if (status === undefined || !isPikoError(error))
    return new Answer(FAILED, { code: 'INTERNAL', message: 'the handler failed' })
  const problems = safely(() => error.details['problems'], undefined)
  return new Answer(status, { code, message: error.message, ...(problems !== undefined && { details: { problems } }) })
}
