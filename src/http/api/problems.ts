import type { FastifyReply, FastifyRequest } from 'fastify'
import { PROBLEM_TYPE, problemOf } from '../../api/problem.ts'
import { statusOf } from '../../api/status-of.ts'
import { isPikoError, type ErrorCode, ERROR_CODES } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { redactText } from '../../run/redact.ts'

const SERVER_ERROR = 500
/** Unlike other errors from status 500 on, this one is shown to the client, because its message says what to install. */
const NOT_INSTALLED = 501
const UNAVAILABLE = 503

/** Sends an error as problem details. An unexpected error goes only to the log, because it may contain SQL or paths. */
export function sendProblem(
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Pick<Logger, 'error'> | undefined,
): FastifyReply {
  const { status, code, detail, details } = readError(error)
  if (status >= SERVER_ERROR && status !== NOT_INSTALLED) {
    logger?.error(
      { err: error, method: request.method, url: request.url },
      'a request to the HTTP server failed; the client got an error response',
    )
  }
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(status, code, detail, details)))
}

interface ReadError {
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly details?: Readonly<Record<string, unknown>>
}

function readError(error: Error): ReadError {
  if (isPikoError(error) && ERROR_CODES.includes(error.code)) {
    const { code, details, message } = error
    const status = statusOf(code)
    const isHidden = status >= SERVER_ERROR && status !== NOT_INSTALLED
    if (isHidden) return { status, code, detail: hidden(code) }
    return { status, code, detail: redactText(message), details: redacted(details) }
  }
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : SERVER_ERROR
  if (status === 413) return { status, code: 'BODY_TOO_LARGE', detail: error.message }
  if (status === UNAVAILABLE) return { status, code: 'REQUEST_TIMEOUT', detail: 'the answer took too long; try again' }
  if (status >= 400 && status < SERVER_ERROR)
    return { status, code: 'REQUEST_INVALID', detail: redactText(error.message) }
  return { status: SERVER_ERROR, code: 'INTERNAL', detail: hidden('INTERNAL') }
}

function hidden(code: ErrorCode): string {
  return `the server could not answer (${code}); see the log of this node`
}

function redacted(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return JSON.parse(redactText(JSON.stringify(details))) as Readonly<Record<string, unknown>>
}
