import { Readable } from 'node:stream'
import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { CANCEL_CODES, type IncomingMessage } from '../carrier/carrier.ts'
import type { BodyType } from '../wire/head.ts'
import { spoolToFile, type SpooledFile } from './spool.ts'

/** The maximum sizes of a body. */
export interface BodyLimits {
  /**
   * The maximum size of a JSON value, and of one line of a stream, in bytes. Parsing a larger one would block the event loop. Default 8 MB.
   */
  readonly maxJsonBytes: number
  /** The maximum size for `bytes()` and `text()`. Default 64 MB. */
  readonly maxBytes: number
  /** The maximum size of a temporary file. Default 16 GB. */
  readonly maxFileBytes: number
}

export const DEFAULT_BODY_LIMITS: BodyLimits = {
  maxJsonBytes: 8_388_608,
  maxBytes: 67_108_864,
  maxFileBytes: 17_179_869_184,
}

/** Returned in place of a value that is not available yet. */
export const LATER = Symbol('later')

const LINE_FEED = 10
const STREAM_BYTES = 65_536

/** The body of a received message. It can be read only once, with one of these methods. */
export class Body {
  readonly type: BodyType
  /** The length in bytes, if the sender knows it. */
  readonly size: number | undefined
  readonly #message: IncomingMessage
  readonly #limits: BodyLimits

  constructor(message: IncomingMessage, limits: BodyLimits) {
    this.type = message.head.type
    this.size = message.head.size
    this.#message = message
    this.#limits = limits
  }

  /**
   * Returns the whole body.
   *
   * @throws PikoError `LINK_TOO_LARGE`
   */
  async bytes(max = this.#limits.maxBytes): Promise<Buffer> {
    const whole = this.#message.take(max)
    if (whole) return whole
    if (this.size !== undefined && this.size > max) throw this.#tooLarge(max)
    const chunks: Buffer[] = []
    let total = 0
    for await (const chunk of this.chunks()) {
      total += chunk.length
      if (total > max) throw this.#tooLarge(max)
      chunks.push(chunk)
    }
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, total)
  }

  async text(): Promise<string> {
    return (await this.bytes()).toString()
  }

  /**
   * Like {@link json}, but without a promise, because most bodies are already complete. Returns {@link LATER} if the body is not.
   *
   * @throws PikoError `INPUT_INVALID`
   */
  jsonNow(): unknown {
    const bytes = this.#message.take(this.#limits.maxJsonBytes)
    return bytes ? valueOf(bytes) : LATER
  }

  /**
   * Returns the JSON value; undefined if the body is empty.
   *
   * @throws PikoError `LINK_TOO_LARGE`, `INPUT_INVALID`
   */
  async json(): Promise<unknown> {
    return valueOf(await this.bytes(this.#limits.maxJsonBytes))
  }

  /** Yields the pieces as they arrive. If the body is that of a reply, leaving the loop early asks the sender to stop. */
  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    let isEnded = false
    try {
      for (let chunk = await this.#message.read(); chunk; chunk = await this.#message.read()) yield chunk
      isEnded = true
    } finally {
      if (!isEnded) this.#stop(CANCEL_CODES.unwanted, 'its reader has stopped')
    }
  }

  /**
   * Yields the JSON values of a body with one value per line.
   *
   * @throws PikoError `LINK_TOO_LARGE`, `INPUT_INVALID`
   */
  async *lines(): AsyncGenerator<unknown, void, undefined> {
    let parts: Buffer[] = []
    let waiting = 0
    for await (const chunk of this.chunks()) {
      let from = 0
      for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
        const rest = chunk.subarray(from, at)
        const line = parts.length === 0 ? rest : Buffer.concat([...parts, rest])
        parts = []
        waiting = 0
        from = at + 1
        if (line.length > this.#limits.maxJsonBytes) throw this.#tooLarge(this.#limits.maxJsonBytes)
        yield parsed(line)
      }
      if (from === chunk.length) continue
      parts.push(chunk.subarray(from))
      waiting += chunk.length - from
      if (waiting > this.#limits.maxJsonBytes) throw this.#tooLarge(this.#limits.maxJsonBytes)
    }
    if (waiting > 0) yield parsed(Buffer.concat(parts))
  }

  /**
   * Returns the bytes as a stream. A slow reader slows the sender down. If the body is that of a reply, destroying the stream early asks
   * the sender to stop.
   */
  stream(): Readable {
    const message = this.#message
    const stop = (): void => this.#stop(CANCEL_CODES.unwanted, 'its reader has stopped')
    let isEnded = false
    // This is twice as fast as `Readable.from`, which needs several promises per chunk.
    return new Readable({
      highWaterMark: STREAM_BYTES,
      read() {
        message.read().then(
          (bytes) => {
            isEnded ||= bytes === undefined
            this.push(bytes ?? null)
          },
          (error: Error) => {
            isEnded = true
            this.destroy(error)
          },
        )
      },
      destroy(error, callback) {
        if (!isEnded) stop()
        callback(error)
      },
    })
  }

  /**
   * Writes the body to a temporary file. The caller must dispose of the file.
   *
   * @throws PikoError `LINK_TOO_LARGE`
   */
  file(): Promise<SpooledFile> {
    const max = this.#limits.maxFileBytes
    if (this.size !== undefined && this.size > max) return Promise.reject(this.#tooLarge(max))
    return this.#toFile(this.chunks())
  }

  /**
   * Reads the body into memory if it has at most `memory` bytes, otherwise into a temporary file.
   *
   * @throws PikoError `LINK_TOO_LARGE`
   */
  async spooled(memory: number): Promise<Buffer | SpooledFile> {
    if (this.size !== undefined && this.size > memory) return this.file()
    const chunks = this.chunks()
    const kept: Buffer[] = []
    let total = 0
    while (total <= memory) {
      const { value, done } = await chunks.next()
      if (done || !value) return Buffer.concat(kept, total)
      kept.push(value)
      total += value.length
    }
    return this.#toFile(after(kept, chunks))
  }

  #toFile(chunks: AsyncIterable<Buffer>): Promise<SpooledFile> {
    const max = this.#limits.maxFileBytes
    return spoolToFile(chunks, {
      max,
      tooLarge: () => this.#tooLarge(max),
      written: (chunk) => this.#message.used(chunk),
    })
  }

  /** Drops the body. */
  discard(): void {
    this.#message.cancel(CANCEL_CODES.unwanted, 'its reader does not need it')
  }

  /**
   * Asks the sender of a reply or an event to stop. A request is not cancelled, because a cancelled request gets no answer, and the handler
   * may answer without reading the whole body. Until it answers, the sender waits for credit.
   */
  #stop(code: number, reason: string): void {
    if (this.#message.head.kind !== 'request') this.#message.cancel(code, reason)
  }

  #tooLarge(max: number): PikoError {
    const about = this.size === undefined ? `more than ${max} bytes` : `${this.size} bytes`
    const message = `the body of a message has ${about}; at most ${max} are read into memory. Read it as a stream or a file, or raise the limit`
    this.#stop(CANCEL_CODES.tooLarge, `at most ${max} bytes`)
    return new PikoError('LINK_TOO_LARGE', message, { details: { max, size: this.size } })
  }
}

async function* after(first: readonly Buffer[], rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* first
  yield* rest
}

function valueOf(bytes: Buffer): unknown {
  return bytes.length === 0 ? undefined : parsed(bytes)
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    throw new PikoError('INPUT_INVALID', `the body of a message is not JSON: ${messageOf(error)}`, { cause: error })
  }
}
