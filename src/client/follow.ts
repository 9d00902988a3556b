import type { LiveEvent, LiveKind, LiveSignal } from '../live/live-event.ts'
import type { PikoError } from './client-error.ts'
import { assertKnown } from './known-options.ts'
import { eventStream, lostBy, pause, pauseMs, queryOf } from './event-stream.ts'
import type { Transport } from './transport.ts'

export interface FollowOptions {
  /** Selects only events of these kinds. Default: all that the token may read. */
  readonly kinds?: readonly LiveKind[]
  /** Selects only events of these jobs. Default: all. */
  readonly jobs?: readonly string[]
  /** The id of the last event that you have. Default: only new events. */
  readonly after?: number
  /** Aborting this signal ends the iteration. */
  readonly signal?: AbortSignal
  /**
   * Reads pages instead of a stream. After a page without new events, waits this long before the next one, in milliseconds. Use it if a
   * proxy buffers streams.
   */
  readonly pollMs?: number
  /**
   * Called when the first message or page has arrived, and again after each reconnection. Together with `onDisconnect`, it shows whether
   * the caller is up to date.
   */
  readonly onConnect?: () => void
  /** Called with the error each time a connection fails, before the client reconnects. Not called if the server ends a stream. */
  readonly onDisconnect?: (error: PikoError) => void
}

const OPTIONS = ['kinds', 'jobs', 'after', 'signal', 'pollMs', 'onConnect', 'onDisconnect']

type Item = LiveEvent | LiveSignal

/**
 * Follows the events of the fleet. If the connection is lost, the client reconnects and continues after the last event, so no event is lost
 * or repeated. If it was disconnected for too long, it yields `span_exceeded`.
 *
 * @throws PikoError if the server refuses the request
 */
export async function* follow(transport: Transport, options: FollowOptions): AsyncGenerator<Item, void, undefined> {
  assertKnown('events', options, OPTIONS)
  let { after } = options
  let isFirst = true
  for (let failures = 0; !isAborted(options);) {
    try {
      const items =
        options.pollMs === undefined ? streamed(transport, options, after) : paged(transport, options, after)
      let isHeard = false
      for await (const item of items) {
        if (!isHeard) options.onConnect?.()
        isHeard = true
        failures = 0
        if (item.id === undefined) continue
        after = item.id
        if (!('kind' in item)) continue
        // Connections after the first one are not shown to the caller.
        if (item.kind === 'open' && !isFirst) continue
        isFirst = false
        yield item
      }
    } catch (thrown) {
      if (isAborted(options)) return
      const error = lostBy(thrown)
      options.onDisconnect?.(error)
    }
    failures += 1
    await pause(pauseMs(failures), options.signal)
  }
}

/** A value without a `kind` shows only that the server is alive and, with an `id`, up to where events were read. */
type Read = Item | { readonly id: number | undefined }

async function* streamed(
  transport: Transport,
  { kinds, jobs, signal }: FollowOptions,
  after: number | undefined,
): AsyncGenerator<Read, void, undefined> {
  for await (const { id, data } of eventStream(transport, `/events${queryOf({ kinds, jobs })}`, after, signal)) {
    if (data !== '') yield JSON.parse(data) as Item
    else yield { id: id === undefined ? undefined : Number(id) }
  }
}

interface Page {
  readonly items: readonly LiveEvent[]
  readonly next: number
  readonly isExceeded: boolean
}

async function* paged(
  transport: Transport,
  { kinds, jobs, signal, pollMs = 0 }: FollowOptions,
  given: number | undefined,
): AsyncGenerator<Read, void, undefined> {
  let after = given
  for (;;) {
    const query = queryOf({ kinds, jobs, after })
    const headers = { accept: 'application/json' }
    const response = await transport.request(`/events/page${query}`, { headers, ...(signal && { signal }) })
    const { items, next, isExceeded } = (await response.json()) as Page
    if (after === undefined) yield { kind: 'open', id: next, isComplete: false }
    else if (isExceeded) yield { kind: 'span_exceeded', id: next, after }
    yield* items
    yield { id: next }
    if (next === after || after === undefined) await pause(pollMs, signal)
    after = next
    if (signal?.aborted) return
  }
}

function isAborted({ signal }: FollowOptions): boolean {
  return signal?.aborted ?? false
}
