import { wrongCall } from '../call-options.ts'
import { describe, isError, messageOf, readError, safely, stackOf } from '../errors-read.ts'
import { flag, oneOf, type OptionChecks, placed, problemOf, readOptions } from '../options.ts'
import { redactText } from '../run/redact.ts'
import { visibleBlock, visibleLine } from '../visible.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { aClock, withMethods } from './service-options.ts'

/** Where the lines are written. A Node stream calls `done` when the line is written or lost. */
interface LogStream {
  write(text: string, done?: (error?: Error | null) => void): unknown
  on?(event: 'error', listener: () => void): unknown
}

export const CONSOLE_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const

export type ConsoleLevel = (typeof CONSOLE_LEVELS)[number]

export interface ConsoleLogOptions {
  /** The lowest level to write. Default `'info'`. */
  readonly level?: ConsoleLevel
  /** Writes one JSON object per line: `{ "time": …, "level": "info", "msg": … }` and the fields. Default false. */
  readonly json?: boolean
}

const CHECKS: OptionChecks<ConsoleLogOptions> = { level: oneOf(...CONSOLE_LEVELS), json: flag }
const aStream = withMethods('a stream', ['write'])

/**
 * Writes `2026-01-01T00:00:00.000Z INFO [^-App]: Starting...` to a stream, with fields after the message. Escapes control characters,
 * because a terminal would execute them. Lines that can't be written are dropped and counted; the next line that can be written reports
 * their number.
 *
 * @throws PikoError `USAGE` that names all problems
 */
export function consoleLog(
  stream: LogStream = process.stdout,
  clock: Clock = systemClock,
  options: ConsoleLogOptions = {},
): Logger {
  const { level: least = 'info', json = false } = checked(stream, clock, options)
  const lines = new LossyLines(stream)
  const at = (level: ConsoleLevel) => {
    if (CONSOLE_LEVELS.indexOf(level) < CONSOLE_LEVELS.indexOf(least)) return () => undefined
    return (given: object | string, text = ''): void => {
      const time = new Date(clock.now()).toISOString()
      const [fields, message] = typeof given === 'string' ? [{}, given] : [given, text]
      if (json) return lines.write(`${redactText(jsonLine(time, level, message, fields))}\n`)
      lines.write(`${time} ${level.toUpperCase()} ${redactText(`${visibleLine(message)}${details(fields)}`)}\n`)
    }
  }
  return { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function checked(stream: unknown, clock: unknown, given: unknown): ConsoleLogOptions {
  const parts = { stream: problemOf(aStream, stream), clock: problemOf(aClock, clock) }
  const { options, problems } = readOptions(given, CHECKS, "{ level: 'debug' }")
  const wrong = Object.entries(parts).flatMap(([name, problem]) =>
    problem === undefined ? [] : [placed(name, problem)],
  )
  if (wrong.length + problems.length > 0) throw wrongCall('consoleLog', [...wrong, ...problems])
  return options
}

function jsonLine(time: string, level: ConsoleLevel, msg: string, fields: object): string {
  const { err, ...rest }: { err?: unknown } = safely(() => ({ ...fields }), {})
  const error = isError(err) && { err: { type: readError(err).name, message: messageOf(err), stack: stackOf(err) } }
  const line = { time, level, msg, ...error }
  return safely(() => JSON.stringify({ ...rest, ...line }), JSON.stringify({ ...line, fields: describe(rest) }))
}

const guarded = new WeakSet<object>()

/** A stream that drops lines if the disk is full or the pipe is closed, because logging must never end a process. */
class LossyLines {
  readonly #stream: LogStream
  #lost = 0

  constructor(stream: LogStream) {
    this.#stream = stream
    // A failed write emits `error`. Without a listener, this event ends the process.
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
