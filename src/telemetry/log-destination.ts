import { Buffer } from 'node:buffer'
import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { propertyOf } from '../errors-read.ts'

/** The maximum number of bytes of lines that may wait for a reader. Further lines are dropped. */
const MAX_HELD_BYTES = 8_000_000
const RETRY_MS = 10
/** How long to wait for the reader when the process exits and lines are left, in milliseconds. */
const MAX_EXIT_WAIT_MS = 1_000
const EXIT_RETRY_MS = 5

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/**
 * Writes log lines immediately and in order. It never waits for their reader, because a pipe that nobody reads or a paused terminal would
 * block the event loop. Until the reader continues, lines wait in memory, up to a limit. Counts dropped lines, and reports them when it can
 * write again.
 *
 * Also drops and counts lines that can't be written for another reason, such as a full disk, because logging must never end a process.
 */
export class LogDestination {
  readonly #file: LogFile
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #dropped = 0
  #triedAt = 0
  #timer: NodeJS.Timeout | undefined
  /** Whether an error has cut off the last line. Then the next line begins with a line break. */
  #isCut = false
  /** Whether the last line could not be written. */
  #isFailing = false
  #isTelling = false
  /** Called with the number of dropped lines when lines can be written again. */
  onDropped: ((lines: number) => void) | undefined

  /** @param file if it is a pipe, a socket or a terminal, it must not block: see {@link openForLog} */
  constructor(file: LogFile) {
    this.#file = file
  }

  /** The number of dropped lines that have not been reported yet. */
  get dropped(): number {
    return this.#dropped
  }

  write(line: string): void {
    const bytes = Buffer.from(line)
    // While one turn of the event loop logs many lines, the timer can't fire. So waiting lines are also written here.
    if (this.#held.length > 0 && performance.now() - this.#triedAt >= RETRY_MS) this.#drain()
    if (this.#held.length > 0) {
      if (this.#heldBytes + bytes.length > MAX_HELD_BYTES) this.#dropped += 1
      else this.#hold(bytes)
      return
    }
    const rest = this.#send(this.#isCut ? Buffer.concat([Buffer.from('\n'), bytes]) : bytes)
    if (rest.length > 0) this.#hold(rest)
    else this.#tellDropped()
  }

  /** Waits for the reader, but only for a short time. */
  flushSync(): void {
    const end = performance.now() + MAX_EXIT_WAIT_MS
    while (!this.#drain() && performance.now() < end) Atomics.wait(PAUSE, 0, 0, EXIT_RETRY_MS)
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    // The timer does not keep the process alive. When the process exits, waiting lines are written as far as possible.
    this.#timer ??= setInterval(() => this.#drain(), RETRY_MS).unref()
  }

  /** Writes waiting lines as long as the reader accepts them. Returns whether all of them are written. */
  #drain(): boolean {
    let written = 0
    this.#triedAt = performance.now()
    for (const bytes of this.#held) {
      const rest = this.#send(bytes)
      this.#heldBytes += rest.length - bytes.length
      if (rest.length > 0) {
        this.#held[written] = rest
        break
      }
      written += 1
    }
    this.#held.splice(0, written)
    if (this.#held.length > 0) return false
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#tellDropped()
    return this.#held.length === 0
  }

  /**
   * Writes bytes. Returns those that must wait for the reader. If writing fails for another reason, drops the rest and counts a dropped
   * line.
   */
  #send(bytes: Buffer): Buffer {
    let from = 0
    try {
      this.#file.unblock?.()
      while (from < bytes.length) {
        const written = writeSync(this.#file.fd, bytes, from)
        // Without this, the loop might never end.
        if (written === 0) throw new Error('nothing was written')
        from += written
      }
      this.#isCut = false
      this.#isFailing = false
    } catch (error) {
      if (isFull(error)) return bytes.subarray(from)
      this.#dropped += 1
      this.#isFailing = true
      this.#isCut ||= from > 0
    }
    return EMPTY
  }

  #tellDropped(): void {
    const lines = this.#dropped
    // The notice is itself a line of this log. So it waits until another line has been written, and is not counted as a dropped line.
    if (lines === 0 || !this.onDropped || this.#isFailing || this.#isTelling) return
    this.#dropped = 0
    this.#isTelling = true
    try {
      this.onDropped(lines)
    } finally {
      this.#isTelling = false
    }
    // The notice itself was dropped. The count is restored without it, for a later notice.
    if (this.#dropped > 0) this.#dropped = lines
  }
}

const EMPTY = Buffer.alloc(0)

function isFull(error: unknown): boolean {
  const code = propertyOf(error, 'code')
  return code === 'EAGAIN' || code === 'EWOULDBLOCK'
}

/** An open file for a log. */
export interface LogFile {
  readonly fd: number
  /** Makes writes to the file non-blocking again. Called before each write. */
  readonly unblock?: (() => void) | undefined
}

/**
 * Opens standard output or standard error so that a write does not block. A pipe or a terminal is opened a second time. The non-blocking
 * flag belongs to the open file description, so other processes that share the pipe or terminal keep theirs. A socket can't be opened
 * again. Its flag is set before each write, because every process that starts with the same standard error clears it.
 */
export function openForLog(fd: 1 | 2): LogFile {
  const isTerminal = isatty(fd)
  const stat = fstatSync(fd)
  if (!isTerminal && !stat.isFIFO() && !stat.isSocket()) return { fd }
  try {
    return { fd: openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY) }
  } catch {
    return nonBlocking(fd)
  }
}

/** Node's internal handle of a stream. It has no public type. */
interface Handle {
  setBlocking?(isBlocking: boolean): unknown
}

function nonBlocking(fd: 1 | 2): LogFile {
  // Reading this property for the first time opens the stream.
  const stream = fd === 1 ? process.stdout : process.stderr
  const { _handle: handle } = stream as { readonly _handle?: Handle | null }
  return { fd: stream.fd, unblock: () => void handle?.setBlocking?.(false) }
}

let standardError: LogDestination | undefined

/** Returns the destination for this process's standard error. */
export function standardErrorDestination(): LogDestination {
  if (standardError) return standardError
  const opened = new LogDestination(openForLog(2))
  process.on('exit', () => opened.flushSync())
  return (standardError = opened)
}
