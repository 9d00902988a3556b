import { PikoError } from './client-error.ts'
import { type Message, messagesOf } from './sse.ts'
import type { Transport } from './transport.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000
/** A stream is considered lost if nothing arrives for this long. The server sends something every ten seconds. */
const SILENT_MS = 35_000
/** The statuses after which another try may succeed. */
const TEMPORARY = new Set([408, 421, 429, 500, 502, 503, 504])

/** Opens a stream of server-sent events and yields its messages. Fails if no message arrives for too long. */
export async function* eventStream(
  transport: Transport,
  path: string,
  lastId: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Message, void, undefined> {
  const silence = new AbortController()
  const response = await transport.request(path, {
    headers: { accept: 'text/event-stream', ...(lastId !== undefined && { 'last-event-id': String(lastId) }) },
    signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
  })
  if (!response.body) throw new PikoError('ANSWER_INVALID', 'the stream of events has no body')
  let timer: ReturnType<typeof setTimeout> | undefined
  const heard = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(new Error('nothing arrived for a long time')), SILENT_MS)
  }
  heard()
  try {
    for await (const message of messagesOf(response.body)) {
      heard()
      yield message
    }
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}

/**
 * Returns the error that ended a stream.
 *
 * @throws PikoError if another try can't succeed
 */
export function lostBy(thrown: unknown): PikoError {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const error =
    thrown instanceof PikoError
      ? thrown
      : new PikoError('UNREACHABLE', `the stream of events ended: ${message}`, { cause: thrown })
  if (error.status !== undefined && !TEMPORARY.has(error.status)) throw error
  return error
}

/** Returns how long to wait before the next try, in milliseconds. */
export function pauseMs(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1))
}

/** Waits for a time, or until the signal aborts. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted) end()
  })
}

/** Builds the query of a path. A list becomes its values, separated by commas. */
export function queryOf(given: Readonly<Record<string, readonly string[] | string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) if (value !== undefined) query.set(name, value.toString())
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}
