import type { PikoError } from '../errors.ts'
import { CANCEL_CODES, type Carrier, type IncomingMessage, type OutgoingSpec } from './carrier/carrier.ts'

/** What a caller gets: the reply as it begins, or why there is none. */
export interface CallEvents {
  readonly replied: (reply: IncomingMessage) => void
  readonly failed: (reason: PikoError) => void
}

/** Finds the call of each reply. */
export class Calls {
  readonly #waiting = new Map<number, CallEvents>()

  get size(): number {
    return this.#waiting.size
  }

  /** Sends a request. Exactly one of the events is called, unless the caller cancels it. */
  begin(
    carrier: Carrier,
    spec: Omit<OutgoingSpec, 'onBegun' | 'onFailed'>,
    events: CallEvents,
  ): ReturnType<Carrier['begin']> {
    let own: number | undefined
    return carrier.begin({
      ...spec,
      onBegun: (id) => {
        own = id
        this.#waiting.set(id, events)
      },
      onFailed: (reason) => {
        if (own !== undefined) this.#waiting.delete(own)
        events.failed(reason)
      },
    })
  }

  /** A reply has begun. */
  replied(reply: IncomingMessage): void {
    const id = reply.head.of ?? 0
    const call = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (call) call.replied(reply)
    else reply.cancel(CANCEL_CODES.unwanted, 'its caller has gone')
  }

  /** Its caller does not wait any more. */
  forget(id: number | undefined): void {
    if (id !== undefined) this.#waiting.delete(id)
  }
}
