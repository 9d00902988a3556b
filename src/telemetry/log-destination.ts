import { Buffer } from 'node:buffer'
import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** Lines that wait while nobody reads, in bytes; what comes beyond is dropped. */
const MAX_HELD_BYTES = 8_000_000
const RETRY_MS = 10
/** What is held at the exit of the process waits this long for its reader. */
const MAX_EXIT_WAIT_MS = 1_000
const EXIT_RETRY_MS = 5

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/**
 * Writes log lines at once, in their order, and never waits for their reader: a pipe that nobody reads, or a terminal that is held,
 * would stop the event loop until somebody does. Lines wait in memory meanwhile, up to a bound. What is dropped is counted, and told
 * once there is room again.
 *
 * A line that can't be written for any other reason, such as a full disk, is dropped and counted too: logging ends no process.
 */
export class LogDestination {
  readonly #file: LogFile
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #dropped = 0
  #triedAt = 0
  #timer: NodeJS.Timeout | undefined
  /** A line was cut short by an error: the next one begins on a line of its own. */
  #isCut = false
  /** The last line could not be written. */
  #isFailing = false
  #isTelling = false
  /** Called with the number of dropped lines when lines are written again. */
  onDropped: ((lines: number) => void) | undefined

  /** @param file a pipe, socket or terminal must not block: see {@link openForLog} */
  constructor(file: LogFile) {
    this.#file = file
  }

  /** Lines that were dropped and not yet told. */
  get dropped(): number {
    return this.#dropped
  }

  write(line: string): void {
    const bytes = Buffer.from(line)
    // A burst of lines leaves the timer no turn.
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

  /** Waits for the reader, but not for long. */
  flushSync(): void {
    const end = performance.now() + MAX_EXIT_WAIT_MS
    while (!this.#drain() && performance.now() < end) Atomics.wait(PAUSE, 0, 0, EXIT_RETRY_MS)
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    // A process that has nothing else to do ends, and writes at its exit what it can.
    this.#timer ??= setInterval(() => this.#drain(), RETRY_MS).unref()
  }

  /** Writes what is held, as far as there is room. Returns whether nothing is held any more. */
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

  /** Returns what found no room. */
  #send(bytes: Buffer): Buffer {
    let from = 0
    try {
      this.#file.unblock?.()
      while (from < bytes.length) {
        const written = writeSync(this.#file.fd, bytes, from)
        // Asked again and again it would take nothing for ever.
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
    // The notice is a line of this log too: it waits for one that was written, and tells nothing of itself.
    if (lines === 0 || !this.onDropped || this.#isFailing || this.#isTelling) return
    this.#dropped = 0
    this.#isTelling = true
    try {
      this.onDropped(lines)
    } finally {
      this.#isTelling = false
    }
    // The notice itself was dropped: it is told with the next line.
    if (this.#dropped > 0) this.#dropped = lines
  }
}

const EMPTY = Buffer.alloc(0)

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK')
}

/** An open file that a log is written to. */
export interface LogFile {
  readonly fd: number
  /** Makes its writes return at once again; before each write. */
  readonly unblock?: (() => void) | undefined
}

/**
 * Standard error, or another open file, so that a write to it does not block. A pipe or a terminal is opened once more: the flag
 * belongs to what was opened, and other processes that have the same keep it as it is. A socket can't be opened again, so there the
 * flag is set before each write: every process that is started with the same standard error clears it.
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

/** Node's handle of a stream, which it does not type. */
interface Handle {
  setBlocking?(isBlocking: boolean): unknown
}

function nonBlocking(fd: 1 | 2): LogFile {
  // Its first use opens it.
  const stream = fd === 1 ? process.stdout : process.stderr
  const { _handle: handle } = stream as { readonly _handle?: Handle | null }
  return { fd: stream.fd, unblock: () => void handle?.setBlocking?.(false) }
}

let standardError: LogDestination | undefined

/** The one for this process's standard error. */
export function standardErrorDestination(): LogDestination {
  if (standardError) return standardError
  const opened = new LogDestination(openForLog(2))
  process.on('exit', () => opened.flushSync())
  return (standardError = opened)
}
