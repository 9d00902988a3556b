import { isObject, propertyOf } from '../errors-read.ts'
import { type ErrorCode, PikoError } from '../errors.ts'
import type { IncomingMessage } from './carrier/carrier.ts'
import { Body, type BodyLimits } from './message/body.ts'
import type { ReplyEnd } from './wire/head.ts'

/** Codes in replies that are also the code of the error. All other codes become `LINK_FAILED`. */
const CODES: readonly ErrorCode[] = ['INPUT_INVALID', 'LINK_NO_ROUTE', 'LINK_TOO_LARGE']
const FIRST_ERROR = 400

/** Returns the body of a reply. @throws PikoError if the status of the reply is an error */
export function bodyOf(reply: IncomingMessage, limits: BodyLimits, route: string): Body | Promise<Body> {
  const body = new Body(reply, limits)
  const status = reply.head.status ?? 200
  return status < FIRST_ERROR ? body : refused(body, status, route)
}

async function refused(body: Body, status: number, route: string): Promise<never> {
  throw failure(route, { status, body: await body.json() })
}

/** Checks the end of a reply. @throws PikoError if the reply failed after it had begun */
export function assertGoodEnd(reply: IncomingMessage, route: string): void {
  if (reply.end && reply.end.status >= FIRST_ERROR) throw failure(route, reply.end)
}

/** Creates the error for a reply with an error status. `details` contains the status and the body that the other end sent. */
function failure(route: string, { status, body }: ReplyEnd): PikoError {
  const said = isObject(body) ? propertyOf(body, 'code') : undefined
  const text = isObject(body) ? propertyOf(body, 'message') : undefined
  const code = CODES.find((one) => one === said) ?? 'LINK_FAILED'
  const why = typeof text === 'string' ? text : `status ${status}`
  return new PikoError(code, `the other end refused "${route}": ${why}`, { details: { route, status, body } })
}
