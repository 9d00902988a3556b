import type { z } from 'zod'
import { headline } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { Emitter } from '../emitter.ts'
import { Waiters } from '../signals/waiters.ts'
import { untilAborted } from '../signals/until-aborted.ts'
import { durationMs } from '../time/duration.ts'
import { Calls } from './calls.ts'
import {
  CANCEL_CODES,
  type Carrier,
  type CarrierEvents,
  type CarrierStats,
  type IncomingMessage,
} from './carrier/carrier.ts'
import { lost } from './carrier/connection.ts'
import {
  type CallOptions,
  checkedEvent,
  checkedLinkCall,
  type Level,
  limitsOf,
  type LinkOptions,
  type SchemaOptions,
} from './link-options.ts'
import { Body, LATER } from './message/body.ts'
import { pump } from './message/pump.ts'
import {
  bytesOf,
  contentOf,
  encodedEvent,
  type EncodedEvent,
  isRepeatable,
  itemsOf,
  type Sendable,
  unsendable,
  Watched,
  wholeOf,
} from './content.ts'
import { assertGoodEnd, bodyOf } from './reply.ts'
import { Request } from './request.ts'
import { Deadlines } from './deadlines.ts'
import { checked } from './routes/checked.ts'
import { RouteTable } from './routes/table.ts'
import { serve } from './serving.ts'

/** Events of the other end by name, and the events `link.up` and `link.down` of this end. */
export type LinkEvents = Record<string, unknown>

export interface LinkStats extends CarrierStats {
  readonly state: LinkState
}

export type LinkState = 'connecting' | 'up' | 'down' | 'closed'

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_LEVEL = 1
const CLOSE_GRACE_MS = 5_000
const OWN_EVENTS = 'link.'
/** The maximum number of bytes of events that may wait for an end that does not read. A single event may be larger. */
const MAX_EVENT_BYTES = 8_388_608

// Long because users call this class, and its comments are their manual.

/** One end of a link. Both ends have the same functions: each can call the routes of the other. */
export class Link implements AsyncDisposable {
  /** Events that the other end emits, and `link.up`, `link.down`. */
  readonly events: Emitter<LinkEvents>
  readonly #options: LinkOptions
  readonly #limits: ReturnType<typeof limitsOf>
  readonly #table: RouteTable
  readonly #isOwnTable: boolean
  readonly #up = new Waiters<void>()
  readonly #closed = Promise.withResolvers<PikoError>()
  #carrier: Carrier | undefined
  /** The calls of each carrier. They are separate, because each carrier counts its ids from the beginning. */
  #calls = new Calls()
  readonly #deadlines = new Deadlines()
  #state: LinkState = 'connecting'
  #open = 0
  /** The bytes of events that the connection has not accepted yet. */
  #eventBytes = 0
  #dispatching = 0
  /** Whether a dropped event has been reported. Reset when no event is being handled. */
  #isOverrun = false
  /**
   * Resolves one iteration of the event loop after the link has opened. Until then, events wait, because the code that waits for the link
   * has not registered its listeners yet. Undefined later.
   */
  #opening: Promise<void> | undefined
  #reconnects = false
  /** Called when the connection is lost, or when the other end leaves. */
  #onLost: ((reason: PikoError) => void) | undefined

  /** @param table the routes, if several links share them */
  constructor(options: LinkOptions, table?: RouteTable) {
    this.#options = options
    this.#limits = limitsOf(options)
    this.#table =
      table ?? new RouteTable(options.routes ?? [], (error) => this.#failed(error, 'a change of the routes'))
    this.#isOwnTable = table === undefined
    this.events = new Emitter<LinkEvents>((error, name) => this.#failed(error, `a listener of the event "${name}"`))
  }

  /**
   * Starts to use a connection. `dial` calls this with a new connection when the old one is lost.
   *
   * @param connect creates the carrier, whose events this link handles
   */
  attach(connect: (events: CarrierEvents) => Carrier, onLost?: (reason: PikoError) => void): void {
    this.#reconnects = onLost !== undefined
    this.#onLost = onLost
    const calls = new Calls()
    const carrier = connect({
      opened: () => this.#opened(),
      message: (message) => this.#received(carrier, calls, message),
      // If no new connection follows, open calls continue until this one has closed.
      leaving: () => (this.#reconnects ? this.#lost(carrier, lost('has stopped')) : undefined),
      closed: (reason) => this.#lost(carrier, reason),
    })
    this.#carrier = carrier
    this.#calls = calls
  }

  get state(): LinkState {
    return this.#state
  }

  /** The id of the node at the other end; undefined before the handshake. */
  get peerId(): string | undefined {
    return this.#carrier?.peerId
  }

  /**
   * Resolves when the connection is open.
   *
   * @throws why the link has closed
   */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'up') await this.#up.next(signal)
  }

  /** Resolves with the reason when the link has ended for good. */
  whenClosed(): Promise<PikoError> {
    return this.#closed.promise
  }

  /**
   * Calls a route of the other end.
   *
   * @param body any JSON value, or bytes
   * @returns the reply: a JSON value or bytes; if there is a `schema`, it was checked
   * @throws PikoError `LINK_NO_ROUTE`, `INPUT_INVALID`, `LINK_FAILED` (the handler failed; `details` has its answer), `LINK_TIMEOUT`,
   * `LINK_LOST`, `LINK_BROKEN`, `LINK_FULL`, `LINK_CORRUPT`, `LINK_TOO_LARGE` (the body or the reply), `LINK_CANCELLED` (by the other end),
   * `OUTPUT_INVALID`; `USAGE` if the route, an option or the body is wrong, before anything is sent; the reason of the signal
   */
  call<S extends z.ZodType>(route: string, body: unknown, options: SchemaOptions<S>): Promise<z.output<S>>
  call(route: string, body?: unknown, options?: CallOptions): Promise<unknown>
  async call(route: string, body?: unknown, options?: CallOptions & { schema?: z.ZodType }): Promise<unknown> {
    return this.#value(route, body, options, DEFAULT_TIMEOUT_MS)
  }

  /**
   * Sends bytes to an upload of the other end: a buffer, a file's stream or any other stream. A stream is read only as fast as the other
   * end reads.
   *
   * @returns as {@link call}
   * @throws as {@link call}; the error of the stream
   */
  send<S extends z.ZodType>(route: string, source: Sendable, options: SchemaOptions<S>): Promise<z.output<S>>
  send(route: string, source: Sendable, options?: CallOptions): Promise<unknown>
  async send(route: string, source: Sendable, options?: CallOptions & { schema?: z.ZodType }): Promise<unknown> {
    return this.#value(route, bytesOf(source), options, undefined)
  }

  /**
   * Calls a route that returns many values: JSON values or buffers. The other end sends them as fast as this end reads. Leaving the loop
   * cancels the request.
   *
   * @throws as {@link call}, at any item
   */
  stream<S extends z.ZodType>(
    route: string,
    body: unknown,
    options: SchemaOptions<S>,
  ): AsyncGenerator<z.output<S>, void>
  stream(route: string, body?: unknown, options?: CallOptions): AsyncGenerator<unknown, void>
  async *stream(
    route: string,
    body?: unknown,
    options?: CallOptions & { schema?: z.ZodType },
  ): AsyncGenerator<unknown, void> {
    const schema = options?.schema
    const { request, reply } = await this.#begin(route, body, options, undefined)
    let isEnded = false
    try {
      const content = await bodyOf(reply, this.#limits, route)
      for await (const item of itemsOf(content))
        yield schema ? await checked(schema, item, 'OUTPUT_INVALID', `an item of ${route}`) : item
      assertGoodEnd(reply, route)
      isEnded = true
    } catch (error) {
      isEnded = true
      throw request.errorOf(error)
    } finally {
      if (!isEnded)
        request.cancel(CANCEL_CODES.unwanted, new PikoError('LINK_CANCELLED', 'the reader of the reply has stopped'))
      request.end()
    }
  }

  /**
   * Calls a route and returns the reply as soon as it begins. This is for large bodies: `reply.file()`, `reply.stream()`, `reply.bytes()`.
   * The call ends when the body was read or dropped.
   *
   * @throws as {@link call}
   */
  async open(route: string, body?: unknown, options?: CallOptions): Promise<Body> {
    const { request, reply } = await this.#begin(route, body, options, undefined)
    try {
      return await bodyOf(new Watched(reply, request, route), this.#limits, route)
    } catch (error) {
      request.end()
      throw request.errorOf(error)
    }
  }

  /**
   * Emits an event on the other end's `link.events`. The other end does not respond.
   *
   * @returns a promise that resolves when the connection has accepted the event; it need not be awaited
   * @throws PikoError `LINK_LOST`, `LINK_FULL`; `USAGE` if the name or an option is wrong, or JSON can't represent the payload
   */
  emit(name: string, payload?: unknown, options?: { readonly level?: Level }): Promise<void> {
    const sent = this.#emit(name, payload, options)
    sent.catch(() => {})
    return sent
  }

  stats(): LinkStats {
    const none: CarrierStats = {
      rttMs: undefined,
      open: 0,
      waiting: [0, 0, 0, 0],
      sentBytes: 0,
      receivedBytes: 0,
      sentMessages: 0,
      receivedMessages: 0,
      unreadBytes: 0,
      creditWaits: 0,
    }
    return { state: this.#state, ...(this.#carrier?.stats() ?? none) }
  }

  /** Accepts no more calls, waits up to five seconds for open ones, and closes the connection. */
  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#reconnects = false
      const carrier = this.#carrier
      if (carrier?.isOpen) carrier.leave()
      else this.#end(lost('is closed'))
      const late = setTimeout(() => this.destroy(lost('is closed')), CLOSE_GRACE_MS)
      await this.#closed.promise
      clearTimeout(late)
    }
    await this.#closed.promise
  }

  /** Closes the connection immediately. Open calls fail with this reason. */
  destroy(reason: PikoError = lost('is closed')): void {
    this.#reconnects = false
    this.#carrier?.close(reason)
    this.#end(reason)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // Methods for calls.

  async #value(
    route: string,
    body: unknown,
    options: (CallOptions & { schema?: z.ZodType }) | undefined,
    defaultMs: number | undefined,
  ): Promise<unknown> {
    const { request, reply } = await this.#begin(route, body, options, defaultMs)
    try {
      const begun = bodyOf(reply, this.#limits, route)
      const content = begun instanceof Body ? begun : await begun
      const now = content.type === 'json' ? content.jsonNow() : LATER
      const value = now === LATER ? await wholeOf(content) : now
      assertGoodEnd(reply, route)
      return options?.schema ? await checked(options.schema, value, 'OUTPUT_INVALID', `the reply of ${route}`) : value
    } catch (error) {
      const said = request.errorOf(error)
      if (!(await this.#mayRepeat(said, body, options))) throw said
    } finally {
      request.end()
    }
    return this.#value(route, body, options, defaultMs)
  }

  async #begin(
    route: string,
    body: unknown,
    given: CallOptions | undefined,
    defaultMs: number | undefined,
  ): Promise<{ readonly request: Request; readonly reply: IncomingMessage }> {
    const options = checkedLinkCall(route, given)
    const timeoutMs = options.timeout === undefined ? defaultMs : durationMs(options.timeout)
    options.signal?.throwIfAborted()
    const carrier = this.#carrierNow() ?? (await this.#whenUp(timeoutMs, options.signal))
    // The signal may have aborted while this was waiting.
    options.signal?.throwIfAborted()
    if (this.#open >= carrier.maxOpen) throw full(carrier.maxOpen)
    const request = this.#send(carrier, route, body, options, timeoutMs)
    try {
      return { request, reply: await request.reply }
    } catch (error) {
      if (await this.#mayRepeat(error, body, options)) return this.#begin(route, body, given, defaultMs)
      throw error
    }
  }

  #send(carrier: Carrier, route: string, body: unknown, options: CallOptions, timeoutMs: number | undefined): Request {
    const content = contentOf(body)
    const head = {
      kind: 'request' as const,
      route,
      type: content.type,
      ...(content.whole && content.whole.length > 65_536 && { size: content.whole.length }),
      ...(timeoutMs !== undefined && { deadlineMs: timeoutMs }),
      ...(options.headers && { headers: { ...options.headers } }),
      ...(options.meta !== undefined && { meta: options.meta }),
    }
    const over = (): void => void this.#open--
    const spec = { head, level: options.level ?? DEFAULT_LEVEL, ...(content.whole && { whole: content.whole }) }
    const about = { route, timeoutMs, signal: options.signal, over, deadlines: this.#deadlines }
    let request: Request
    try {
      request = new Request(this.#calls, carrier, spec, about)
    } catch (error) {
      // A request that could not begin does not count as open.
      throw error instanceof PikoError ? error : unsendable('meta', options.meta, error)
    }
    this.#open++
    if (content.source) {
      void pump(content.source, request.out, async (error) => {
        request.cancel(CANCEL_CODES.failed, error as Error)
        return { status: 500, body: undefined }
      })
    }
    return request
  }

  /** Whether a lost request may be sent again: its caller must allow it (`idempotent`), and its body must still be available. */
  async #mayRepeat(error: unknown, body: unknown, options: CallOptions | undefined): Promise<boolean> {
    if (!this.#reconnects || options?.idempotent !== true || !isRepeatable(body)) return false
    return error instanceof PikoError && error.code === 'LINK_LOST'
  }

  /** Resolves with the open connection. Waits if `dial` is reconnecting. */
  async #whenUp(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<Carrier> {
    if (this.#up.size >= this.#limits.maxOpen) throw full(this.#limits.maxOpen)
    const late = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
    try {
      await untilAborted(this.#up.next(late), signal)
    } catch (error) {
      if (late?.aborted && error === late.reason)
        throw new PikoError('LINK_TIMEOUT', `there was no connection for ${timeoutMs} ms; nothing was sent`, {
          details: { sent: false },
        })
      throw error
    }
    return this.#carrierNow() ?? this.#whenUp(timeoutMs, signal)
  }

  #carrierNow(): Carrier | undefined {
    return this.#state === 'up' || (this.#state === 'connecting' && !this.#reconnects) ? this.#carrier : undefined
  }

  async #emit(name: string, payload: unknown, given: { readonly level?: Level } | undefined): Promise<void> {
    const { level = DEFAULT_LEVEL } = checkedEvent(name, given)
    await this.emitEncoded(name, encodedEvent(payload), level)
  }

  /** Emits an event that is already encoded, because it goes to many links. @internal @throws PikoError `LINK_LOST`, `LINK_FULL` */
  async emitEncoded(name: string, { type, whole }: EncodedEvent, level: Level = DEFAULT_LEVEL): Promise<void> {
    const carrier = this.#carrier
    if (!carrier || this.#state === 'closed' || this.#state === 'down')
      throw lost('is not connected, so the event is dropped')
    if (this.#open >= carrier.maxOpen) throw full(carrier.maxOpen)
    if (this.#eventBytes > 0 && this.#eventBytes + whole.length > MAX_EVENT_BYTES)
      throw new PikoError('LINK_FULL', `${this.#eventBytes} bytes of events wait, and the other end does not read them`)
    this.#open++
    this.#eventBytes += whole.length
    try {
      await carrier.begin({ head: { kind: 'event', route: name, type }, level, whole }).whenSent()
    } finally {
      this.#eventBytes -= whole.length
      this.#open--
    }
  }

  // Methods that handle received messages.

  #opened(): void {
    if (this.#state === 'connecting')
      this.#opening = new Promise((resolve) =>
        setImmediate(() => {
          this.#opening = undefined
          resolve()
        }),
      )
    this.#state = 'up'
    this.#up.tell()
    void this.events.emit('link.up', { peerId: this.peerId })
  }

  #received(carrier: Carrier, calls: Calls, message: IncomingMessage): void {
    switch (message.head.kind) {
      case 'reply':
        return calls.replied(message)
      case 'event':
        return void this.#dispatch(message)
      case 'request':
        return serve(
          {
            carrier,
            table: this.#table,
            limits: this.#limits,
            deadlines: this.#deadlines,
            failed: (error, route) => this.#failed(error, `the handler of "${route}"`),
          },
          message,
        )
    }
  }

  async #dispatch(message: IncomingMessage): Promise<void> {
    if (this.#opening) await this.#opening
    const name = message.head.route ?? ''
    const isKnown = this.events.has(name) && !name.startsWith(OWN_EVENTS)
    if (!isKnown) return message.cancel(CANCEL_CODES.full, 'the event has no listener')
    if (this.#dispatching >= this.#limits.maxOpen) return this.#overrun(message, name)
    this.#dispatching++
    try {
      const body = new Body(message, this.#limits)
      await this.events.emit(name, body.type === 'json' ? await body.json() : await body.bytes())
    } catch (error) {
      // If an event arrives damaged or incomplete, its listeners are not called.
      this.#options.log?.debug({ event: name, reason: headline(error) }, 'an event did not arrive')
    } finally {
      this.#dispatching--
      if (this.#dispatching === 0) this.#isOverrun = false
    }
  }

  /**
   * Drops an event, because too many earlier ones are still being handled. Reports only the first dropped one, until all others have been
   * handled.
   */
  #overrun(message: IncomingMessage, name: string): void {
    message.cancel(CANCEL_CODES.full, 'too many events are being handled')
    if (this.#isOverrun) return
    this.#isOverrun = true
    const why = `listeners of ${this.#dispatching} events have not finished, so further events are dropped`
    this.#failed(new PikoError('LINK_FULL', why), `the event "${name}"`)
  }

  #failed(error: unknown, what: string): void {
    if (this.#options.log) this.#options.log.error({ err: error }, `${what} failed`)
    else process.emitWarning(`${what} failed: ${headline(error)}`, 'PikoLinkWarning')
  }

  #lost(carrier: Carrier, reason: PikoError): void {
    if (this.#carrier !== carrier || this.#state === 'closed') return
    if (!this.#reconnects) return this.#end(reason)
    if (this.#state === 'down') return
    this.#state = 'down'
    void this.events.emit('link.down', { reason })
    this.#onLost?.(reason)
  }

  /** Ends the link for good. */
  #end(reason: PikoError): void {
    if (this.#state === 'closed') return
    const wasUp = this.#state === 'up'
    this.#state = 'closed'
    this.#up.end(reason, true)
    if (this.#isOwnTable) this.#table.release()
    if (wasUp) void this.events.emit('link.down', { reason })
    this.#closed.resolve(reason)
  }
}

function full(maxOpen: number): PikoError {
  const message = `${maxOpen} messages are open, and the other end accepts no more; wait until some have ended, or raise its maxOpen`
  return new PikoError('LINK_FULL', message, { details: { maxOpen } })
}
