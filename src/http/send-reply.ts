import { validateHeaderName, validateHeaderValue } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { messageOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { errorReply, type Reply, replyOf } from '../link/routes/replied.ts'
import { endOf } from '../link/routes/respond.ts'
import type { ServedRequest } from '../link/routes/served-request.ts'
import type { FoundRoute } from '../link/routes/matcher.ts'
import type { BodyType } from '../link/wire/head.ts'

const CONTENT_TYPES: Readonly<Record<BodyType, string>> = {
  json: 'application/json; charset=utf-8',
  lines: 'application/x-ndjson; charset=utf-8',
  raw: 'application/octet-stream',
}
/** These headers belong to the connection, and Node sets them. */
const OF_CONNECTION = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']
const FIRST_ERROR = 500

export interface Answering {
  readonly found: FoundRoute | undefined
  readonly served: ServedRequest
  readonly reply: FastifyReply
  /** Whether the client wants only the headers. */
  readonly isHead: boolean
  /** Called with errors that the client does not see. */
  readonly failed: (error: unknown) => void
}

/** Sends a reply over HTTP. If its headers are wrong, or its stream fails before the first byte, the client gets an error instead. */
export async function sendReply(answer: Reply, answering: Answering): Promise<unknown> {
  const { reply, failed } = answering
  const problems = problemsOf(answer.headers)
  if (problems.length > 0) {
    answer.drop?.()
    const error = new PikoError('USAGE', problems.join('; '), { details: { problems } })
    failed(error)
    return send(replyOf(errorReply(error)), undefined, answering)
  }
  const { body, drop } = answer
  if (Buffer.isBuffer(body)) return send(answer, body, answering)
  // A source that nobody reads must not stay open.
  if (answering.isHead || reply.raw.destroyed) drop?.()
  if (answering.isHead) return send(answer, undefined, answering)
  if (reply.raw.destroyed) return undefined
  if (drop) reply.raw.once('close', drop)
  const iterator = body[Symbol.asyncIterator]()
  try {
    const first = await iterator.next()
    return send(answer, Readable.from(resumed(first, iterator), { objectMode: false }), answering)
  } catch (error) {
    const end = await endOf(answering.found, error, answering.served)
    if (end.status >= FIRST_ERROR && !answering.served.isAborted) failed(error)
    return send(replyOf(end), undefined, answering)
  }
}

function send({ status, type, headers, body }: Reply, stream: unknown, { reply, failed }: Answering): unknown {
  void reply.code(status).headers(headers ?? {})
  if (stream instanceof Readable) {
    // The status is already sent, so the connection is closed. The client then sees that the body is incomplete.
    stream.on('error', failed)
    return reply.type(CONTENT_TYPES[type]).send(stream)
  }
  if (!Buffer.isBuffer(body)) return reply.type(CONTENT_TYPES[type]).send()
  if (body.length === 0) return reply.send()
  return reply.type(CONTENT_TYPES[type]).send(body)
}

async function* resumed(first: IteratorResult<Buffer>, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  let isEnded = first.done === true
  try {
    for (let next = first; !isEnded; next = await rest.next()) {
      isEnded = next.done === true
      if (!isEnded) yield next.value
    }
  } catch (error) {
    isEnded = true
    throw error
  } finally {
    if (!isEnded) await rest.return?.()
  }
}

/** Returns what is wrong with headers that a link can transfer, but HTTP can't. */
function problemsOf(headers: Reply['headers']): string[] {
  return Object.entries(headers ?? {}).flatMap(([name, value]) => {
    const problem = problemOf(name, value)
    return problem === undefined
      ? []
      : [`the header ${describe(name)} of an answer can't be sent over HTTP: ${problem}`]
  })
}

function problemOf(name: string, value: string): string | undefined {
  if (OF_CONNECTION.includes(name.toLowerCase())) return 'it belongs to the connection; remove it'
  try {
    validateHeaderName(name)
  } catch {
    return 'expected a name of letters, digits and hyphens'
  }
  try {
    validateHeaderValue(name, value)
    return undefined
  } catch (error) {
    return `${messageOf(error)}; expected Latin letters without line breaks: encode other strings, for example with encodeURIComponent`
  }
}
