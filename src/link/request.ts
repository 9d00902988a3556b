import { PikoError } from '../errors.ts'
import { onAbort } from '../signals/on-abort.ts'
import {
  CANCEL_CODES,
  type Carrier,
  type IncomingMessage,
  type OutgoingMessage,
  type OutgoingSpec,
} from './carrier/carrier.ts'
import type { Calls } from './calls.ts'

export interface RequestOptions {
  readonly route: string
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal | undefined
  /** Called once when it is over, whatever its outcome. */
  readonly over: () => void
}

/** A request and its reply, from the caller's side. */
export class Request {
  readonly #options: RequestOptions
  readonly #calls: Calls
  readonly #begun = Promise.withResolvers<IncomingMessage>()
  readonly out: OutgoingMessage
  #reply: IncomingMessage | undefined
  #timer: NodeJS.Timeout | undefined
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
    this.out = calls.begin(carrier, spec, {
      replied: (reply) => {
        this.#reply = reply
        this.#begun.resolve(reply)
      },
      failed: (reason) => this.#fail(this.#said(reason)),
    })
    const { timeoutMs, signal, route } = options
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(() => {
        const error = new PikoError('LINK_TIMEOUT', `the call of "${route}" was not answered within ${timeoutMs} ms`, {
          details: { route, timeoutMs },
        })
        this.cancel(CANCEL_CODES.deadline, error)
      }, timeoutMs)
    }
    if (signal) this.#unlink = onAbort(signal, () => this.cancel(CANCEL_CODES.unwanted, signal.reason as Error))
  }

  /** Resolves when the reply begins. @throws why there is none */
  get reply(): Promise<IncomingMessage> {
    return this.#begun.promise
  }

  /** The error of a read of the reply: why this request was cancelled, if it was. */
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

  /** The reply was read completely, or nobody needs it. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#unlink?.()
    this.#calls.forget(this.out.id)
    this.out.release()
    this.#options.over()
  }

  #fail(reason: Error): void {
    this.#begun.promise.catch(() => {})
    this.#begun.reject(reason)
    this.end()
  }

  /** Says whether the other end can have handled the request. */
  #said(reason: PikoError): PikoError {
    if (reason.code !== 'LINK_LOST' && reason.code !== 'LINK_BROKEN') return reason
    const { route } = this.#options
    // A connection that is already closing refuses the message before it exists.
    const sent = (this.out as OutgoingMessage | undefined)?.isSent === true
    const said = sent ? 'had been sent completely, and may have been handled' : 'had not been sent completely'
    return new PikoError(reason.code, `${reason.message}; the request to "${route}" ${said}`, {
      cause: reason,
      details: { route, sent },
    })
  }
}
