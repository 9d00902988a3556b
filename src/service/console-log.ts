import { describe, isError, safely, stackOf } from '../errors-read.ts'
import { type Logger } from '../job/context.ts'
import { processClock, type ServiceClock } from './clock.ts'

/** Writes `2026-01-01T00:00:00.000Z INFO [^-App]: Starting...`, fields after the message, to a stream. */
export function consoleLog(
  stream: { write(text: string): unknown } = process.stdout,
  clock: ServiceClock = processClock,
): Logger {
  const at =
    (level: string) =>
    (fields: object | string, message = ''): void => {
      const text = typeof fields === 'string' ? fields : `${message}${details(fields)}`
      stream.write(`${new Date(clock.now()).toISOString()} ${level} ${text}\n`)
    }
  return {
    trace: () => undefined,
    debug: () => undefined,
    info: at('INFO'),
    warn: at('WARN'),
    error: at('ERROR'),
  }
}

function details(fields: object): string {
  const { err, ...rest }: { err?: unknown } = safely(() => ({ ...fields }), {})
  const data = Object.keys(rest).length > 0 ? ` ${safely(() => JSON.stringify(rest), describe(rest))}` : ''
  return isError(err) ? `${data}\n${stackOf(err)}` : data
}
