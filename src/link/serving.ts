import type { Clock } from '../clock.ts'
import { watchStray } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { CANCEL_CODES, type Carrier, type IncomingMessage, type OutgoingMessage } from './carrier/carrier.ts'
import { Body, type BodyLimits } from './message/body.ts'
import { pump } from './message/pump.ts'
import { Answer } from './routes/answer.ts'
import { checked } from './routes/checked.ts'
import { errorReply, type Reply, replyOf, streamReply } from './routes/replied.ts'
import type { RouteEntry, RouteRequest } from './routes/route-types.ts'
import { type FoundRoute, handle, type RouteTable, streamError } from './routes/table.ts'
import { uploadOf } from './message/upload.ts'

export interface ServingDeps {
  readonly carrier: Carrier
  readonly table: RouteTable
  readonly limits: BodyLimits
  readonly clock: Clock
  /** An error of a handler that nothing else answers. */
  readonly failed: (error: unknown, route: string) => void
}

/** The request of a link, with what is needed to answer it. */
class LinkRequest implements RouteRequest {
  readonly path: string
  readonly route: string
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  meta: unknown
  body: unknown = undefined
  readonly via = 'link'
  readonly level: number
  readonly state: Record<string, unknown> = {}
  #aborter: AbortController | undefined
  #reason: PikoError | undefined

  constructor(message: IncomingMessage, found: FoundRoute) {
    this.path = message.head.route ?? ''
    this.route = found.route
    this.params = found.params
    this.headers = message.head.headers ?? {}
    this.meta = message.head.meta
    this.level = message.level
  }

  /** Made only for handlers that ask for it. */
  get signal(): AbortSignal {
    if (!this.#aborter) {
      this.#aborter = new AbortController()
      if (this.#reason) this.#aborter.abort(this.#reason)
    }
    return this.#aborter.signal
  }

  abort(reason: PikoError): void {
    this.#reason ??= reason
    this.#aborter?.abort(reason)
  }

  get isAborted(): boolean {
    return this.#reason !== undefined
  }
}

/** Answers a request of the other end. Never rejects. */
export async function serve(deps: ServingDeps, message: IncomingMessage): Promise<void> {
  const path = message.head.route ?? ''
  const found = deps.table.find(path)
  const request = new LinkRequest(message, found ?? NOT_FOUND)
  let out: OutgoingMessage | undefined
  const abort = (reason: PikoError): void => {
    request.abort(reason)
    out?.cancel(CANCEL_CODES.unwanted, 'the request was cancelled')
  }
  message.onCancelled(abort)
  const timer = deadlineOf(message, abort)
  try {
    const reply = await answered(deps, found, request, message)
    if (request.isAborted) return discard(reply)
    out = send(deps, message, reply, found, request)
    await out.whenSent()
  } catch (error) {
    // The connection has ended or the caller has gone. Anything else was answered above.
    if (!request.isAborted && deps.carrier.isOpen) deps.failed(error, path)
  } finally {
    clearTimeout(timer)
    message.release()
  }
}

const NOT_FOUND: FoundRoute = { entry: undefined, chain: [], route: '', params: {} }
const LONGEST_TIMER_MS = 2 ** 31 - 1

function deadlineOf(message: IncomingMessage, abort: (reason: PikoError) => void): NodeJS.Timeout | undefined {
  const { deadlineMs, route } = message.head
  if (deadlineMs === undefined || deadlineMs > LONGEST_TIMER_MS) return undefined
  return setTimeout(() => {
    abort(new PikoError('LINK_TIMEOUT', `the request ${describe(route)} was not answered within ${deadlineMs} ms`))
    message.cancel(CANCEL_CODES.deadline, `not answered within ${deadlineMs} ms`)
  }, deadlineMs)
}

async function answered(
  deps: ServingDeps,
  found: FoundRoute | undefined,
  request: LinkRequest,
  message: IncomingMessage,
): Promise<Reply> {
  try {
    if (!found) throw new PikoError('LINK_NO_ROUTE', `there is no route ${describe(request.path)}`)
    return await resultOf(deps, found, request, message)
  } catch (error) {
    const answer = errorReply(error)
    if (answer.status >= 500 && !request.isAborted) deps.failed(error, request.path)
    return replyOf(answer)
  }
}

async function resultOf(
  deps: ServingDeps,
  found: FoundRoute,
  request: LinkRequest,
  message: IncomingMessage,
): Promise<Reply> {
  const { entry } = found
  const body = new Body(message, deps.limits)
  if (!entry) {
    const fallback = found.chain.at(-1)?.options.fallback
    request.body = body.type === 'json' ? await body.json() : undefined
    return replyOf(await handle(found, request, () => fallback?.(request)))
  }
  if (entry.kind === 'upload') return uploaded(found, entry, request, body)
  const result = await handle(found, request, async () => {
    request.body = await checked(entry.in, await valueOf(body), 'INPUT_INVALID', `the request to ${request.route}`)
    return entry.kind === 'stream' ? begun(entry, request) : outOf(entry, await call(entry, request), request)
  })
  return isReply(result) ? result : replyOf(result)
}

/** A JSON value, bytes, or a stream of values. */
async function valueOf(body: Body): Promise<unknown> {
  if (body.type === 'json') return body.json()
  return body.type === 'raw' ? body.bytes() : body.lines()
}

async function uploaded(found: FoundRoute, entry: RouteEntry, request: LinkRequest, body: Body): Promise<Reply> {
  const upload = await uploadOf(body, entry.spool)
  try {
    const result = await handle(found, request, async () => {
      request.meta = await checked(entry.meta, request.meta, 'INPUT_INVALID', `meta of the request to ${request.route}`)
      return outOf(
        entry,
        await call(
          entry,
          withStream(request, () => upload.stream()),
        ),
        request,
      )
    })
    return replyOf(result)
  } finally {
    await upload.remove()
  }
}

/** The request itself, because its signal is a getter. */
function withStream(request: LinkRequest, stream: () => unknown): LinkRequest {
  let opened: unknown
  return Object.defineProperty(request, 'stream', { get: () => (opened ??= stream()), configurable: true })
}

function call(entry: RouteEntry, request: LinkRequest): unknown {
  return (entry.handler as (request: LinkRequest) => unknown)(request)
}

async function outOf(entry: RouteEntry, result: unknown, request: LinkRequest): Promise<unknown> {
  if (result instanceof Answer || !entry.out) return result
  return checked(entry.out, result, 'OUTPUT_INVALID', `the result of ${request.route}`)
}

/** Wraps the reply, so that middleware can't confuse it with a value. */
async function begun(entry: RouteEntry, request: LinkRequest): Promise<unknown> {
  const items = (await call(entry, request)) as AsyncIterable<unknown>
  const { out } = entry
  const reply = await streamReply(out ? checkedItems(items, out, request) : items)
  return Object.assign(Object.create(StreamedReply) as object, reply)
}

const StreamedReply = {}

function isReply(result: unknown): result is Reply {
  return typeof result === 'object' && result !== null && Object.getPrototypeOf(result) === StreamedReply
}

async function* checkedItems(
  items: AsyncIterable<unknown>,
  out: NonNullable<RouteEntry['out']>,
  { route }: LinkRequest,
): AsyncGenerator<unknown> {
  for await (const item of items) {
    if (item instanceof Uint8Array) yield item
    else yield await checked(out, item, 'OUTPUT_INVALID', `an item of ${route}`)
  }
}

function send(
  deps: ServingDeps,
  message: IncomingMessage,
  reply: Reply,
  found: FoundRoute | undefined,
  request: LinkRequest,
): OutgoingMessage {
  const { status, type, headers, body } = reply
  const head = {
    kind: 'reply' as const,
    of: message.id,
    type,
    ...(status !== 200 && { status }),
    ...(headers && { headers }),
  }
  const abort = (reason: PikoError): void => request.abort(reason)
  if (Buffer.isBuffer(body)) return deps.carrier.begin({ head, level: message.level, whole: body, onFailed: abort })
  const out = deps.carrier.begin({ head, level: message.level, onFailed: abort })
  const ended = async (error: unknown): Promise<{ status: number; body: unknown }> => {
    if (!request.isAborted) deps.failed(error, request.path)
    const answer = await endOf(found ?? NOT_FOUND, error, request)
    return { status: answer.status, body: answer.body }
  }
  watchStray(pump(body, out, ended))
  return out
}

async function endOf(found: FoundRoute, error: unknown, request: LinkRequest): Promise<Answer> {
  try {
    const result = await streamError(found, error, request)
    return result instanceof Answer && result.status >= 400 ? result : new Answer(500, result)
  } catch (last) {
    return errorReply(last)
  }
}

/** A reply that nobody wants any more: its source must still end. */
function discard({ body }: Reply): void {
  if (!Buffer.isBuffer(body)) watchStray(body[Symbol.asyncIterator]().return?.())
}
