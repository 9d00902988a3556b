import type { PikoError } from '../errors.ts'
import { ById } from './carrier/by-id.ts'
import {
  CANCEL_CODES,
  type Carrier,
  type IncomingMessage,
  type OutgoingMessage,
  type OutgoingSpec,
} from './carrier/carrier.ts'

/** A call that is waiting for its reply. It receives the reply when the reply begins, or the reason why there is none. */
export interface Call {
  /** The id of the call's request; undefined until the request has begun. */
  id: number | undefined
  replied(reply: IncomingMessage): void
  failed(reason: PikoError): void
}

/** The open calls of a connection. Finds the call that a reply belongs to. */
export class Calls {
  readonly #waiting = new ById<Call>()

  /**
   * Sends a request. Calls `replied` when the reply begins, and `failed` if the request fails, even after its reply has begun. Calls
   * neither after the caller has cancelled.
   */
  begin(carrier: Carrier, spec: Omit<OutgoingSpec, 'onBegun' | 'onFailed'>, call: Call): OutgoingMessage {
    return carrier.begin({
      head: spec.head,
      level: spec.level,
      ...(spec.whole && { whole: spec.whole }),
      onBegun: (id) => {
        call.id = id
        this.#waiting.add(call)
      },
      onFailed: (reason) => {
        this.forget(call)
        call.failed(reason)
      },
    })
  }

  /** Passes a reply that has begun to the call that is waiting for it. */
  replied(reply: IncomingMessage): void {
    const call = this.#waiting.get(reply.head.of ?? 0)
    if (!call) return reply.cancel(CANCEL_CODES.unwanted, 'its caller no longer waits')
    this.forget(call)
    call.replied(reply)
  }

  /** Removes a call whose caller is no longer waiting. */
  forget(call: Call): void {
    if (call.id !== undefined) this.#waiting.delete(call.id)
  }
}
