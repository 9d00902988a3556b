import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PikoError } from '../errors.ts'
import { aText, oneOf, type OptionChecks, problemsText, readOptions, wholeNumber } from '../options.ts'
import type { FileToOpen } from './protocol.ts'

export interface FileOptions {
  /** The compression of the file. Default `'auto'`: gzip for the extensions `.gz` and `.gzip`, brotli for `.br`, otherwise none. */
  readonly compression?: FileToOpen['compression']
  /** The size of a chunk in bytes, from 1 to 16,777,216. Default 65,536. */
  readonly chunkBytes?: number
}

const CHECKS: OptionChecks<FileOptions> = {
  compression: oneOf('auto', 'none', 'gzip', 'brotli', 'deflate'),
  chunkBytes: wholeNumber(1, 16 * 2 ** 20),
}
const CHUNK_BYTES = 64 * 1_024

/** A file as an argument. The offloaded function receives it as an async iterable of its decompressed bytes. It is opened in the thread. */
export class OffloadFile implements AsyncIterable<Uint8Array> {
  readonly toOpen: FileToOpen

  constructor(toOpen: FileToOpen) {
    this.toOpen = toOpen
  }

  /**
   * Always throws, because only an offloaded function can read the file.
   *
   * @throws PikoError `USAGE` in the calling thread
   */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    throw new PikoError('USAGE', `file("${this.toOpen.path}") is read in a thread; pass it to an offloaded function`)
  }
}

export function isOffloadFile(value: unknown): value is OffloadFile {
  return value instanceof OffloadFile
}

/**
 * Makes a file an argument of an offloaded function. The function receives the file's decompressed bytes as an async iterable. The worker
 * thread opens the file, so no bytes pass through the calling thread.
 *
 * @param path relative to the working directory, or a `file:` URL
 * @throws PikoError `USAGE` if the path or an option is invalid
 * @example
 * for await (const order of parsing.orders(file('orders.ndjson.gz'))) await ctx.sinks.orders.write(Order, order)
 */
export function file(path: string | URL, options: FileOptions = {}): OffloadFile {
  const read = readOptions<FileOptions>(options, CHECKS, "{ compression: 'gzip' }")
  const isFine = path instanceof URL ? path.protocol === 'file:' : aText(path) === undefined
  const problems = isFine
    ? read.problems
    : [`the path is ${String(path)}; expected a path or a file: URL`, ...read.problems]
  if (problems.length > 0) throw new PikoError('USAGE', problemsText('file', problems), { details: { problems } })
  const { compression = 'auto', chunkBytes = CHUNK_BYTES } = read.options
  return new OffloadFile({ path: path instanceof URL ? fileURLToPath(path) : resolve(path), compression, chunkBytes })
}
