import { visible, visibleBlock, visibleJson, visibleLine } from '../visible.ts'
import { loadPackage } from '../load-package.ts'

const OWN_KEYS = new Set(['time', 'level', 'msg', 'piko_event', 'err', 'error'])
const BARE_VALUE = /^[^\s"=]+$/

/**
 * Creates the function that turns a JSON line into a line for people: `14:03:07.123 WARN: run failed; retrying in 2.0s run_id=7
 * job_id=sync_orders err="Error: reset by peer"`. At level error and above, the stacks of the error and of its causes follow.
 */
export function prettyPrinter(options: { colour: boolean }): (line: string) => string {
  // Loaded only here, because a process that logs JSON does not need it. Loaded synchronously, because a logger is created synchronously.
  const { prettyFactory } = loadPackage<typeof import('pino-pretty')>('pino-pretty')
  return prettyFactory({
    colorize: options.colour,
    customColors: { message: 'reset' },
    useOnlyCustomProps: false,
    // Piko shows these as ordinary fields; pino-pretty would show them in its own prefix.
    ignore: 'name,pid,hostname,caller',
    translateTime: 'SYS:HH:MM:ss.l',
    customPrettifiers: { time: String },
    hideObject: true,
    messageFormat: (log, _messageKey, _levelLabel, { colors }) => {
      const error = isLoggedError(log['err']) ? log['err'] : isLoggedError(log['error']) ? log['error'] : undefined
      const message = typeof log['msg'] === 'string' ? visibleBlock(log['msg']) : ''
      const fields = [...fieldsOf(log), ...(error ? [`err=${visibleJson(summaryOf(error))}`] : [])].join(' ')
      const stack = error && isSevere(log['level']) ? `\n${indent(stackOf(error))}` : ''
      return [message, colors.gray(fields)].filter((part) => part !== '').join(' ') + stack
    },
  })
}

interface LoggedError {
  readonly type: string
  readonly message: string
  readonly stack?: string
  readonly cause?: LoggedError
}

function isLoggedError(value: unknown): value is LoggedError {
  return typeof value === 'object' && value !== null && 'type' in value && 'message' in value
}

function isSevere(level: unknown): boolean {
  return level === 'error' || level === 'fatal'
}

function fieldsOf(log: Record<string, unknown>): string[] {
  return Object.entries(log)
    .filter(([key, value]) => !OWN_KEYS.has(key) || ((key === 'err' || key === 'error') && !isLoggedError(value)))
    .map(
      ([key, value]) =>
        `${visibleLine(key)}=${typeof value === 'string' && BARE_VALUE.test(value) ? visible(value) : visibleJson(value)}`,
    )
}

function summaryOf(error: LoggedError): string {
  const own = `${error.type}: ${error.message}`
  return error.cause ? `${own} (caused by ${summaryOf(error.cause)})` : own
}

function stackOf(error: LoggedError): string {
  const own = visible(error.stack ?? `${error.type}: ${error.message}`)
  return error.cause ? `${own}\nCaused by: ${stackOf(error.cause)}` : own
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ')
}
