import { PikoError } from '../errors.ts'
import { onAbort } from '../signals/on-abort.ts'
import {
  CANCEL_CODES,
  type Carrier,
  type IncomingMessage,
  type OutgoingMessage,
  type OutgoingSpec,
} from './carrier/carrier.ts'
import type { Call, Calls } from './calls.ts'
import type { Deadline, Deadlines } from './deadlines.ts'

export interface RequestOptions {
  readonly route: string
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
  readonly deadlines: Deadlines
  /** Called once when the request has ended, whatever its outcome. */
  readonly over: () => void
}

/** A request and its reply, on the caller's side. */
export class Request implements Call {
  id: number | undefined
  readonly #options: RequestOptions
  readonly #calls: Calls
  readonly #begun = Promise.withResolvers<IncomingMessage>()
  readonly out: OutgoingMessage
  #reply: IncomingMessage | undefined
  #deadline: Deadline | undefined
  #unlink: (() => void) | undefined
  #failure: Error | undefined
  #isOver = false

  constructor(
    calls: Calls,
    carrier: Carrier,
    spec: Omit<OutgoingSpec, 'onBegun' | 'onFailed'>,
    options: RequestOptions,
  ) {
    this.#options = options
    this.#calls = calls
    this.out = calls.begin(carrier, spec, this)
    const { timeoutMs, signal, deadlines } = options
    if (timeoutMs !== undefined) this.#deadline = deadlines.add(timeoutMs, () => this.#late())
    if (signal) this.#unlink = onAbort(signal, () => this.cancel(CANCEL_CODES.unwanted, signal.reason as Error))
  }

  replied(reply: IncomingMessage): void {
    this.#reply = reply
    this.#begun.resolve(reply)
  }

  failed(reason: PikoError): void {
    this.#fail(this.#said(reason))
  }

  /**
   * Resolves when the reply begins.
   *
   * @throws why there is no reply
   */
  get reply(): Promise<IncomingMessage> {
    return this.#begun.promise
  }

  /** Returns the error to throw from reading the reply. If this request was cancelled, this is the reason for it. */
  errorOf(error: unknown): unknown {
    return this.#failure ?? (error instanceof PikoError ? this.#said(error) : error)
  }

  cancel(code: number, reason: Error): void {
    if (this.#isOver) return
    this.#failure ??= reason
    this.out.cancel(code, reason.message)
    this.#reply?.cancel(code, reason.message)
    this.#fail(reason)
  }

  /** Ends the call and removes its deadline. Called when the reply was read completely or is no longer needed. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#deadline) this.#options.deadlines.cancel(this.#deadline)
    this.#unlink?.()
    this.#calls.forget(this)
    this.out.release()
    this.#options.over()
  }

  #late(): void {
    const { route, timeoutMs } = this.#options
    const message = `the call to "${route}" was not answered within ${timeoutMs} ms`
    this.cancel(CANCEL_CODES.deadline, new PikoError('LINK_TIMEOUT', message, { details: { route, timeoutMs } }))
  }

  #fail(reason: Error): void {
    this.#begun.promise.catch(() => {})
    this.#begun.reject(reason)
    this.end()
  }

  /** Adds to an error whether the other end may have handled the request. */
  #said(reason: PikoError): PikoError {
    if (reason.code !== 'LINK_LOST' && reason.code !== 'LINK_BROKEN') return reason
    const { route } = this.#options
    const sent = this.out.isSent
    const said = sent ? 'had been sent completely, and may have been handled' : 'had not been sent completely'
    return new PikoError(reason.code, `${reason.message}; the request to "${route}" ${said}`, {
      cause: reason,
      details: { route, sent },
    })
  }
}
