import { watchStray } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { CANCEL_CODES, type Carrier, type IncomingMessage, type OutgoingMessage } from './carrier/carrier.ts'
import { Body, type BodyLimits } from './message/body.ts'
import { pump } from './message/pump.ts'
import type { Reply } from './routes/replied.ts'
import { endOf, respond } from './routes/respond.ts'
import { ServedRequest } from './routes/served-request.ts'
import type { FoundRoute, RouteTable } from './routes/table.ts'

export interface ServingDeps {
  readonly carrier: Carrier
  readonly table: RouteTable
  readonly limits: BodyLimits
  /** An error of a handler that the caller does not see. */
  readonly failed: (error: unknown, route: string) => void
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Answers a request of the other end. Never rejects. */
export async function serve(deps: ServingDeps, message: IncomingMessage): Promise<void> {
  const { route: path = '', headers = {}, meta } = message.head
  const found = deps.table.find(path)
  const request = new ServedRequest({ path, found, headers, meta, level: message.level, via: 'link' })
  const failed = (error: unknown): void => deps.failed(error, path)
  let out: OutgoingMessage | undefined
  const abort = (reason: PikoError): void => {
    request.abort(reason)
    out?.cancel(CANCEL_CODES.unwanted, 'the request was cancelled')
  }
  message.onCancelled(abort)
  const timer = deadlineOf(message, abort)
  try {
    const reply = await respond(found, request, new Body(message, deps.limits), failed)
    if (request.isAborted) return discard(reply)
    out = send(deps.carrier, message, reply, found, request, failed)
    await out.whenSent()
  } catch (error) {
    // The connection has ended, or the caller has gone.
    if (!request.isAborted && deps.carrier.isOpen) failed(error)
  } finally {
    clearTimeout(timer)
    message.release()
  }
}

function deadlineOf(message: IncomingMessage, abort: (reason: PikoError) => void): NodeJS.Timeout | undefined {
  const { deadlineMs, route } = message.head
  if (deadlineMs === undefined || deadlineMs > LONGEST_TIMER_MS) return undefined
  return setTimeout(() => {
    abort(new PikoError('LINK_TIMEOUT', `the request ${describe(route)} was not answered within ${deadlineMs} ms`))
    message.cancel(CANCEL_CODES.deadline, `not answered within ${deadlineMs} ms`)
  }, deadlineMs)
}

function send(
  carrier: Carrier,
  message: IncomingMessage,
  { status, type, headers, body }: Reply,
  found: FoundRoute | undefined,
  request: ServedRequest,
  failed: (error: unknown) => void,
): OutgoingMessage {
  const head = {
    kind: 'reply' as const,
    of: message.id,
    type,
    ...(status !== 200 && { status }),
    ...(headers && { headers }),
  }
  const onFailed = (reason: PikoError): void => request.abort(reason)
  if (Buffer.isBuffer(body)) return carrier.begin({ head, level: message.level, whole: body, onFailed })
  const out = carrier.begin({ head, level: message.level, onFailed })
  const end = async (error: unknown): Promise<{ status: number; body: unknown }> => {
    const answer = await endOf(found, error, request)
    if (answer.status >= 500 && !request.isAborted) failed(error)
    return { status: answer.status, body: answer.body }
  }
  watchStray(pump(body, out, end))
  return out
}

/** A reply that nobody wants any more: its source must still end. */
function discard({ body }: Reply): void {
  if (!Buffer.isBuffer(body)) watchStray(body[Symbol.asyncIterator]().return?.())
}
