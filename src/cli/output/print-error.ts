import { inspect } from 'node:util'
import { messageOf, readError, safely, stackOf } from '../../errors-read.ts'
import { isPikoError } from '../../errors.ts'
import { redactText } from '../../run/redact.ts'
import { visible, visibleBlock, visibleJson } from '../../visible.ts'
import { say } from '../../say.ts'
import { styleFor } from './style.ts'

/**
 * Writes an error to standard error, as the last output there: `error CODE: message`, or one line of JSON
 * (`{"error":{"code","message","details"}}`). An error that is not a `PikoError` has the code `UNEXPECTED`. The stack follows only with
 * `PIKO_LOG_LEVEL=debug` or `trace`.
 */
export function printError(error: Error, { json }: { json: boolean }): void {
  const code = isPikoError(error) ? error.code : 'UNEXPECTED'
  const stack = ['debug', 'trace'].includes(process.env['PIKO_LOG_LEVEL']?.toLowerCase() ?? '')
    ? safely(() => inspect(error), stackOf(error))
    : undefined
  say(redactText(json ? jsonOf(error, code, stack) : textOf(error, code, stack)))
}

function jsonOf(error: Error, code: string, stack: string | undefined): string {
  const details = isPikoError(error) ? error.details : {}
  return visibleJson({ error: { code, message: messageOf(error), details, ...(stack !== undefined && { stack }) } })
}

function textOf(error: Error, code: string, stack: string | undefined): string {
  const { red, gray } = styleFor(process.stderr)
  const line = `${red(`error ${code}:`)} ${visibleBlock(messageOf(error) || readError(error).name, '  ')}`
  if (stack !== undefined) return `${line}\n${gray(visible(stack))}`
  return code === 'UNEXPECTED' ? `${line} (PIKO_LOG_LEVEL=debug shows the stack)` : line
}
