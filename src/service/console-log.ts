import { describe, isError, safely, stackOf } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'
import { visibleBlock, visibleLine } from '../visible.ts'
import { systemClock, type Clock } from '../clock.ts'
import { type Logger } from '../logger.ts'

/** Where the lines go. A stream of Node calls `done` when the line is written or lost. */
interface LogStream {
  write(text: string, done?: (error?: Error | null) => void): unknown
  on?(event: 'error', listener: () => void): unknown
}

/**
 * Writes `2026-01-01T00:00:00.000Z INFO [^-App]: Starting...`, fields after the message, to a stream. What a terminal would obey is
 * written as an escape. A line that can't be written is dropped and counted, and the next one that can says how many.
 */
export function consoleLog(stream: LogStream = process.stdout, clock: Clock = systemClock): Logger {
  const lines = new LossyLines(stream)
  const at =
    (level: string) =>
    (fields: object | string, message = ''): void => {
      const text = typeof fields === 'string' ? visibleLine(fields) : `${visibleLine(message)}${details(fields)}`
      lines.write(`${new Date(clock.now()).toISOString()} ${level} ${redactText(text)}\n`)
    }
  return {
    trace: () => undefined,
    debug: () => undefined,
    info: at('INFO'),
    warn: at('WARN'),
    error: at('ERROR'),
  }
}

const guarded = new WeakSet<object>()

/** Lines of which a full disk or a closed pipe takes some: logging ends no process. */
class LossyLines {
  readonly #stream: LogStream
  #lost = 0

  constructor(stream: LogStream) {
    this.#stream = stream
    // A write that fails is an event, and an event `error` that nobody listens to ends the process.
    if (guarded.has(stream)) return
    guarded.add(stream)
    stream.on?.('error', () => {})
  }

  write(line: string): void {
    const lost = this.#lost
    this.#lost = 0
    const notice = lost === 0 ? '' : `${lost} ${lost === 1 ? 'line' : 'lines'} of this log could not be written\n`
    const lose = (): void => void (this.#lost += lost + 1)
    try {
      this.#stream.write(notice + line, (error) => {
        if (error) lose()
      })
    } catch {
      lose()
    }
  }
}

function details(fields: object): string {
  const { err, ...rest }: { err?: unknown } = safely(() => ({ ...fields }), {})
  const data = Object.keys(rest).length > 0 ? ` ${visibleLine(safely(() => JSON.stringify(rest), describe(rest)))}` : ''
  return isError(err) ? `${data}\n${visibleBlock(stackOf(err))}` : data
}
