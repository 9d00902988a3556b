import { Transform, type TransformCallback } from 'node:stream'
import { createInflateRaw, type InflateRaw } from 'node:zlib'

/** The size of a gzip header without its optional parts, and of the check sum and length after the data (RFC 1952). */
const HEADER_BYTES = 10
const TRAILER_BYTES = 8
/** A longer header, with its comment and file name, is considered an attack. */
const MAX_HEADER_BYTES = 65_536
const EXTRA = 4
/** The file name, and the comment: both end with a zero. */
const TEXTS = [8, 16]
const HEADER_CHECK = 2

/**
 * Decompresses gzip as browsers do: bytes after the end that are not gzip are ignored. Node's own decoder fails then, and the end of the body
 * is lost.
 */
export class Gunzip extends Transform {
  /** Bytes that are not handled yet: an incomplete header, or the bytes after a member's data. */
  #pending: Buffer = Buffer.alloc(0)
  #inflate: InflateRaw | undefined
  /** The part that follows: a header, or the trailer of a member. */
  #next: 'header' | 'trailer' | 'nothing' = 'header'
  #isFirst = true

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#take(piece, done)
  }

  override _flush(done: TransformCallback): void {
    if (this.#inflate) return this.#ended(this.#inflate, done)
    const isCut = this.#next === 'header' && this.#isFirst && this.#pending.length > 0
    done(isCut ? new Error('unexpected end of the gzip header') : null)
  }

  override _read(size: number): void {
    this.#inflate?.resume()
    super._read(size)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inflate?.destroy()
    done(error)
  }

  #take(piece: Buffer, done: TransformCallback): void {
    if (this.#next === 'nothing') return done()
    if (this.#inflate) return this.#write(this.#inflate, piece, done)
    const bytes = this.#pending.length === 0 ? piece : Buffer.concat([this.#pending, piece])
    this.#pending = bytes
    if (this.#next === 'trailer') {
      if (bytes.length <= TRAILER_BYTES) return done()
      this.#next = 'header'
      this.#pending = Buffer.alloc(0)
      return this.#take(bytes.subarray(TRAILER_BYTES), done)
    }
    const isGzip = [0x1f, 0x8b, 8].every((byte, index) => (bytes[index] ?? byte) === byte)
    if (!isGzip && this.#isFirst) return done(new Error('the body is not gzip'))
    const length = isGzip ? headerLength(bytes) : 0
    // Further members are decompressed too. Everything else is ignored.
    if (!isGzip || (length === undefined && bytes.length > MAX_HEADER_BYTES)) {
      this.#next = 'nothing'
      this.#pending = Buffer.alloc(0)
      return done(this.#isFirst ? new Error('the gzip header is too long') : null)
    }
    if (length === undefined) return done()
    this.#pending = Buffer.alloc(0)
    this.#isFirst = false
    const inflate = createInflateRaw()
    this.#inflate = inflate
    inflate.on('data', (out: Buffer) => {
      if (!this.push(out)) inflate.pause()
    })
    this.#write(inflate, bytes.subarray(length), done)
  }

  #write(inflate: InflateRaw, piece: Buffer, done: TransformCallback): void {
    if (piece.length === 0) return done()
    const before = inflate.bytesWritten
    const finish = (then: () => void) => (): void => {
      inflate.off('end', ended)
      inflate.off('error', failed)
      then()
    }
    const failed = (error: Error): void => finish(() => done(error))()
    // The data of the member has ended within this piece, or before it.
    const ended = finish(() => {
      this.#inflate = undefined
      this.#next = 'trailer'
      this.#take(piece.subarray(inflate.bytesWritten - before), done)
    })
    inflate.once('end', ended)
    inflate.once('error', failed)
    inflate.write(piece, (error) => {
      if (!error && !inflate.readableEnded && this.#inflate === inflate) finish(done)()
    })
  }

  #ended(inflate: InflateRaw, done: TransformCallback): void {
    inflate.once('end', () => done())
    inflate.once('error', done)
    inflate.end()
  }
}

/** Returns the length of a gzip header; undefined if it is incomplete. */
function headerLength(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined
  const flags = bytes[3] ?? 0
  let length = HEADER_BYTES
  if ((flags & EXTRA) !== 0) {
    if (bytes.length < length + 2) return undefined
    length += 2 + bytes.readUInt16LE(length)
  }
  for (const flag of TEXTS) {
    if ((flags & flag) === 0) continue
    const end = bytes.indexOf(0, length)
    if (end < 0) return undefined
    length = end + 1
  }
  if ((flags & HEADER_CHECK) !== 0) length += 2
  return bytes.length < length ? undefined : length
}
