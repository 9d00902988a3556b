import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { after } from '../time/after.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { untilAborted } from '../signals/until-aborted.ts'
import type { Sent } from './sent.ts'

export interface ExchangeLimits {
  readonly timeoutMs: number
  readonly idleMs: number
}

/** The response of a server, before its body is read or decoded. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The body. It must be read to its end, or destroyed. */
  readonly body: Readable
  /** Cancels the limit `timeoutMs`, so that reading the body may take longer. */
  readonly untimed: () => void
}

/** The error of a request that has exceeded its time limit. */
export class TimeIsUp extends Error {}

export interface ExchangeOptions {
  /** Opens the connections. It may load undici first, and the time limit includes that. */
  readonly open: () => Promise<Dispatcher>
  readonly limits: ExchangeLimits
  /** Aborting any of these ends the request. */
  readonly signals: readonly (AbortSignal | undefined)[]
  /** Called once, when the request no longer holds its connection. */
  readonly released?: () => void
}

/**
 * Sends a request once. The time limit and the signals also end the body.
 *
 * @throws TimeIsUp, the reason of a signal, or an undici error
 */
export async function exchange(sent: Sent, options: ExchangeOptions): Promise<Reply> {
  const { open, limits, signals, released = () => {} } = options
  const linked = new LinkedSignal(...signals)
  const { signal } = linked
  const cancel = after(limits.timeoutMs, () => linked.abort(new TimeIsUp()))
  const end = (): void => {
    cancel()
    linked.release()
    released()
  }
  const asked = signal.aborted ? Promise.reject<Asked>(signal.reason as Error) : ask(sent, open, limits, signal)
  // The connection is free only once undici has released it, which may be later than the abort.
  asked.then(
    ({ body }) => {
      // A destroyed body emits an error. Without a listener, that error would end the process.
      body.on('error', () => {})
      body.once('close', end)
    },
    () => end(),
  )
  try {
    return { ...(await untilAborted(asked, signal)), untimed: cancel }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  }
}

type Asked = Omit<Reply, 'untimed'>

async function ask(
  { url, method, headers, body }: Sent,
  open: ExchangeOptions['open'],
  { idleMs }: ExchangeLimits,
  signal: AbortSignal,
): Promise<Asked> {
  const dispatcher = await open()
  const answer = await dispatcher.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    ...(body !== undefined && { body }),
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
    signal,
  })
  return { status: answer.statusCode, headers: answer.headers, body: answer.body }
}
