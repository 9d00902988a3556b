import { describe, PikoError } from '../../errors.ts'
import { isObject, propertyOf, watchStray } from '../../errors-read.ts'
import { type Body, LATER } from '../message/body.ts'
import { type Upload, uploadOf } from '../message/upload.ts'
import { Answer } from './answer.ts'
import { checked } from './checked.ts'
import { Begun, errorReply, jsonBytes, type Reply, replyOf, streamReply } from './replied.ts'
import type { RouteEntry } from './route-types.ts'
import { onErrorOf, runChain } from './run-chain.ts'
import type { ServedRequest } from './served-request.ts'
import type { FoundRoute } from './matcher.ts'

const INTERNAL = 500

/**
 * Calls the handler of a request, over a link or over HTTP. Never throws or rejects. If there is nothing to wait for, it answers
 * immediately.
 *
 * @param failed called with an error that the caller does not see
 */
export function respond(
  found: FoundRoute | undefined,
  request: ServedRequest,
  body: Body,
  failed: (error: unknown) => void,
): Reply | Promise<Reply> {
  const refuse = (error: unknown): Reply => {
    const answer = errorReply(error)
    if (answer.status >= INTERNAL && !request.isAborted) failed(error)
    return replyOf(answer)
  }
  try {
    if (!found) throw new PikoError('LINK_NO_ROUTE', `there is no route ${describe(request.path)}`)
    const reply = resultOf(found, request, body)
    return reply instanceof Promise ? reply.catch(refuse) : reply
  } catch (error) {
    return refuse(error)
  }
}

function resultOf(found: FoundRoute, request: ServedRequest, body: Body): Reply | Promise<Reply> {
  const { entry, chain } = found
  if (!entry) return fellBack(found, request, body)
  if (entry.kind === 'upload') return uploaded(found, entry, request, body)
  const result = runChain(chain, request, () => handled(entry, request, body))
  return isThenable(result) ? Promise.resolve(result).then(toReply) : toReply(result)
}

async function fellBack({ chain }: FoundRoute, request: ServedRequest, body: Body): Promise<Reply> {
  const fallback = chain.at(-1)?.options.fallback
  request.body = body.type === 'json' ? await body.json() : undefined
  return replyOf(await runChain(chain, request, () => fallback?.(request)))
}

function toReply(result: unknown): Reply {
  return result instanceof Begun ? result.reply : replyOf(result)
}

function isThenable(value: unknown): boolean {
  return value instanceof Promise || (isObject(value) && typeof propertyOf(value, 'then') === 'function')
}

/** Calls the handler: immediately, if there is no schema and the body has already arrived. */
function handled(entry: RouteEntry, request: ServedRequest, body: Body): unknown {
  const now = entry.in || body.type !== 'json' ? LATER : body.jsonNow()
  if (now === LATER) return handledLater(entry, request, body)
  request.body = now
  return answered(entry, request)
}

async function handledLater(entry: RouteEntry, request: ServedRequest, body: Body): Promise<unknown> {
  request.body = await checked(entry.in, await valueOf(body), 'INPUT_INVALID', `the request to ${request.route}`)
  return answered(entry, request)
}

function answered(entry: RouteEntry, request: ServedRequest): unknown {
  if (entry.kind === 'stream') return begun(entry, request)
  const result = call(entry, request)
  return entry.out ? outOf(entry, result, request) : result
}

/** Reads a body as a JSON value, bytes, or a stream of values. */
async function valueOf(body: Body): Promise<unknown> {
  if (body.type === 'json') return body.json()
  return body.type === 'raw' ? body.bytes() : body.lines()
}

async function uploaded(found: FoundRoute, entry: RouteEntry, request: ServedRequest, body: Body): Promise<Reply> {
  const upload = await uploadOf(body, entry.spool)
  let reply: Reply | undefined
  try {
    const result = await runChain(found.chain, request, async () => {
      request.meta = await checked(entry.meta, request.meta, 'INPUT_INVALID', `meta of the request to ${request.route}`)
      const ready = request.withStream(() => upload.stream())
      return outOf(entry, call(entry, ready), request)
    })
    reply = replyOf(result)
    return Buffer.isBuffer(reply.body) ? reply : removedAfter(reply, reply.body, upload)
  } finally {
    if (!reply || Buffer.isBuffer(reply.body)) await upload.remove()
  }
}

/** Returns a reply that removes the upload when it has ended, because the reply may still read the upload, for example to compress it. */
function removedAfter(reply: Reply, body: AsyncIterable<Buffer>, upload: Upload): Reply {
  const drop = (): void => {
    reply.drop?.()
    watchStray(upload.remove())
  }
  return { ...reply, body: untilRead(body, upload), drop }
}

async function* untilRead(body: AsyncIterable<Buffer>, upload: Upload): AsyncGenerator<Buffer> {
  try {
    yield* body
  } finally {
    await upload.remove()
  }
}

function call(entry: RouteEntry, request: ServedRequest): unknown {
  return (entry.handler as (request: ServedRequest) => unknown)(request)
}

async function outOf(entry: RouteEntry, given: unknown, request: ServedRequest): Promise<unknown> {
  const result = await given
  if (result instanceof Answer || !entry.out) return result
  return checked(entry.out, result, 'OUTPUT_INVALID', `the result of ${request.route}`)
}

async function begun(entry: RouteEntry, request: ServedRequest): Promise<Begun> {
  const items = (await call(entry, request)) as AsyncIterable<unknown>
  return new Begun(await streamReply(entry.out ? checkedItems(items, entry.out, request) : items))
}

async function* checkedItems(
  items: AsyncIterable<unknown>,
  out: NonNullable<RouteEntry['out']>,
  { route }: ServedRequest,
): AsyncGenerator<unknown> {
  for await (const item of items) {
    if (item instanceof Uint8Array) yield item
    else yield await checked(out, item, 'OUTPUT_INVALID', `an item of ${route}`)
  }
}

/** Returns what to send at the end of a stream that failed after it began: the answer of the nearest `onError`, or `INTERNAL`. */
export async function endOf(found: FoundRoute | undefined, error: unknown, request: ServedRequest): Promise<Answer> {
  try {
    const result = await onErrorOf(found?.chain ?? [], error, request)
    const end = result instanceof Answer && result.status >= 400 ? result : new Answer(INTERNAL, result)
    // Throws if JSON can't represent it.
    jsonBytes(end.body)
    return end
  } catch (last) {
    return errorReply(last)
  }
}
