import { watchStray } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'
import { CANCEL_CODES, type Carrier, type IncomingMessage, type OutgoingMessage } from './carrier/carrier.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { Body, type BodyLimits } from './message/body.ts'
import { pump } from './message/pump.ts'
import { errorReply, type Reply, replyOf } from './routes/replied.ts'
import { endOf, respond } from './routes/respond.ts'
import { ServedRequest } from './routes/served-request.ts'
import type { FoundRoute } from './routes/matcher.ts'
import type { RouteTable } from './routes/table.ts'
import type { Head, ReplyEnd } from './wire/head.ts'
import { LONGEST_TIMER_MS } from '../clock.ts'

export interface ServingDeps {
  readonly carrier: Carrier
  readonly table: RouteTable
  readonly limits: BodyLimits
  readonly deadlines: Deadlines
  /** Called with an error of a handler that the caller does not see. */
  readonly failed: (error: unknown, route: string) => void
}

/** Answers a request of the other end. Never throws. */
export function serve(deps: ServingDeps, message: IncomingMessage): void {
  const { route: path = '', headers, meta } = message.head
  const found = deps.table.find(path)
  const request = new ServedRequest({ path, found, headers: headers ?? {}, meta, level: message.level, via: 'link' })
  new Serving(deps, message, found, request).begin()
}

/** A request that is being answered. */
class Serving {
  readonly #deps: ServingDeps
  readonly #message: IncomingMessage
  readonly #found: FoundRoute | undefined
  readonly #request: ServedRequest
  #out: OutgoingMessage | undefined
  #deadline: Deadline | undefined

  constructor(deps: ServingDeps, message: IncomingMessage, found: FoundRoute | undefined, request: ServedRequest) {
    this.#deps = deps
    this.#message = message
    this.#found = found
    this.#request = request
  }

  begin(): void {
    const { deadlineMs } = this.#message.head
    this.#message.onCancelled((reason) => this.#abort(reason))
    if (deadlineMs !== undefined && deadlineMs <= LONGEST_TIMER_MS)
      this.#deadline = this.#deps.deadlines.add(deadlineMs, () => this.#late(deadlineMs))
    const body = new Body(this.#message, this.#deps.limits)
    const reply = respond(this.#found, this.#request, body, (error) => this.#failed(error))
    if (reply instanceof Promise) watchStray(reply.then((later) => this.#answer(later)))
    else this.#answer(reply)
  }

  #late(deadlineMs: number): void {
    const what = describe(this.#request.path)
    this.#abort(new PikoError('LINK_TIMEOUT', `the request ${what} was not answered within ${deadlineMs} ms`))
    this.#message.cancel(CANCEL_CODES.deadline, `not answered within ${deadlineMs} ms`)
  }

  #abort(reason: PikoError): void {
    this.#request.abort(reason)
    if (!this.#out) return
    this.#out.cancel(CANCEL_CODES.unwanted, 'the request was cancelled')
    this.#end()
  }

  #answer(reply: Reply): void {
    if (this.#request.isAborted) {
      reply.drop?.()
      return this.#end()
    }
    try {
      this.#send(reply)
    } catch (error) {
      // The head was too large. Nothing was sent, so the caller can still get an error.
      reply.drop?.()
      this.#failed(error)
      this.#send(replyOf(errorReply(error)))
    }
  }

  #send({ status, type, headers, body }: Reply): void {
    const { carrier } = this.#deps
    const { id, level } = this.#message
    const head: Head = {
      kind: 'reply',
      of: id,
      type,
      ...(status !== 200 && { status }),
      ...(headers && { headers }),
    }
    const ends = {
      onSent: () => this.#end(),
      onFailed: (reason: PikoError) => {
        this.#request.abort(reason)
        this.#end()
      },
    }
    if (Buffer.isBuffer(body)) {
      this.#out = carrier.begin({ head, level, whole: body, ...ends })
      return
    }
    const out = carrier.begin({ head, level, ...ends })
    this.#out = out
    watchStray(pump(body, out, (error) => this.#endOf(error)))
  }

  /** Returns what to send at the end of a reply that failed after it began. */
  async #endOf(error: unknown): Promise<ReplyEnd> {
    const { status, body } = await endOf(this.#found, error, this.#request)
    if (status >= 500) this.#failed(error)
    return { status, body }
  }

  #failed(error: unknown): void {
    if (!this.#request.isAborted) this.#deps.failed(error, this.#request.path)
  }

  #end(): void {
    if (this.#deadline) this.#deps.deadlines.cancel(this.#deadline)
    this.#message.release()
  }
}
