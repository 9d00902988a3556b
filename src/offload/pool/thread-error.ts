import { basename } from 'node:path'
import { describe, isError, messageOf } from '../../errors-read.ts'
import { type ErrorCode, PikoError } from '../../errors.ts'
import type { OffloadTask } from '../protocol.ts'
import type { FailureReason } from './pool-figures.ts'

type Called = Pick<OffloadTask, 'module' | 'name'>

/** Returns the function and its module, for messages. */
export function callTitle({ name, module }: Called): string {
  return `${name}() of ${basename(module)}`
}

export function callError(code: ErrorCode, called: Called, message: string, cause?: unknown): PikoError {
  const { module, name } = called
  return new PikoError(code, message, { ...(cause !== undefined && { cause }), details: { module, name } })
}

/** Creates the error of a call whose thread failed: it exited, had an uncaught error, or ran out of memory. */
export function threadError(called: Called, cause: unknown): PikoError {
  const { code, reason } = describeCause(cause)
  const ended = `the thread that ran ${callTitle(called)} ended: ${reason}`
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return callError('OFFLOAD_MEMORY', called, `${ended}; raise the pool's memory or offload smaller pieces`, cause)
  return callError(/^worker exited with code/.test(reason) ? 'OFFLOAD_EXIT' : 'OFFLOAD_CRASHED', called, ended, cause)
}

/**
 * Creates the error of a call that can't be repeated: its thread never began it, but its buffers or streams were already moved to that
 * thread.
 */
export function neverBegan(called: Called, previous: string, cause: unknown): PikoError {
  const message = `${callTitle(called)} did not begin, because work that ${previous} left behind ended or blocked the thread; call it again`
  return callError('OFFLOAD_CRASHED', called, message, cause)
}

function describeCause(cause: unknown): { code: string | undefined; reason: string } {
  if (!isError(cause)) return { code: undefined, reason: typeof cause === 'string' ? cause : describe(cause) }
  const { code, name, stack }: NodeJS.ErrnoException = cause
  const message = messageOf(cause)
  // If a thread ends with an uncaught DOMException, only the stack of this error still contains its name and message.
  const reason = message === '' ? (stack?.split('\n')[0] ?? name) : name === 'Error' ? message : `${name}: ${message}`
  return { code: typeof code === 'string' ? code : undefined, reason: reason.replace(/\.$/, '') }
}

const FAILURE_OF: Readonly<Record<string, FailureReason>> = { OFFLOAD_MEMORY: 'memory', OFFLOAD_EXIT: 'exit' }

/** Returns the reason under which the pool's figures count the error of a failed thread. */
export function failureOf({ code }: PikoError): FailureReason {
  return FAILURE_OF[code] ?? 'crashed'
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}

export function warn(message: string): void {
  process.emitWarning(message, 'PikoOffloadWarning')
}
