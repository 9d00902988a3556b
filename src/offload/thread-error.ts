import { basename } from 'node:path'
import { describe, isError } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import type { OffloadTask } from './worker.ts'

/**
 * The error for a caller whose thread failed, rather than the function in it. Causes are an exit, an uncaught error, exhausted memory, or
 * data that can't be copied between threads.
 */
export function threadError(task: OffloadTask, cause: unknown): PikoError {
  const what = `${task.name}() of ${basename(task.module)}`
  const { code, reason } = describeCause(cause)
  const details = { module: task.module, name: task.name }
  if (reason.startsWith('DataCloneError')) {
    const message = `an argument or the result of ${what} can't be copied between threads: ${reason}; pass plain data`
    return new PikoError('OFFLOAD_FAILED', message, { cause, details })
  }
  const hint = code === 'ERR_WORKER_OUT_OF_MEMORY' ? '; raise resourceLimits or offload smaller pieces' : ''
  return new PikoError('OFFLOAD_FAILED', `the thread that ran ${what} ended: ${reason}${hint}`, { cause, details })
}

function describeCause(cause: unknown): { code: string | undefined; reason: string } {
  if (!isError(cause)) return { code: undefined, reason: typeof cause === 'string' ? cause : describe(cause) }
  const { code, name, message, stack }: NodeJS.ErrnoException = cause
  // A DOMException that crosses threads as an uncaught error keeps its name and message only in the stack.
  const reason = message === '' ? (stack?.split('\n')[0] ?? name) : name === 'Error' ? message : `${name}: ${message}`
  return { code: typeof code === 'string' ? code : undefined, reason: reason.replace(/\.$/, '') }
}
