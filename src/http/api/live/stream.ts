import type { ServerResponse } from 'node:http'
import type { LiveEvent, LiveFilter, LiveSignal } from '../../../live/live-event.ts'
import type { LiveReader } from '../../../engine/live/live-reader.ts'
import { NOT_OPEN, type ReaderState, signalsOf } from '../../../operations/live/live.ts'

/** How often a message is sent even without events, because proxies and clients close connections without traffic. */
export const HEARTBEAT_MS = 10_000
/** A reader that has not read a batch after this time is disconnected. */
const MAX_DRAIN_MS = 15_000
/** How long a client waits before it reconnects. */
export const RETRY_MS = 2_000

/** A part of the stream. The bytes of events are the same object for all readers with the same filter. */
type Part = string | Buffer

/** Writes events to one client as they happen, until it disconnects or is too slow, or the server stops. */
export async function writeEvents(
  response: ServerResponse,
  reader: LiveReader,
  filter: LiveFilter,
  drainMs = MAX_DRAIN_MS,
): Promise<void> {
  const key = JSON.stringify([filter.kinds, filter.jobs])
  response.once('close', () => reader.close())
  let state: ReaderState = NOT_OPEN
  let parts: readonly Part[] = [`retry: ${RETRY_MS}\n\n`]
  while (await isWritten(response, parts, drainMs)) {
    const batch = await reader.next(state.isOpen ? HEARTBEAT_MS : 1_000)
    if (!batch) break
    const signals = signalsOf(state, batch).map(signalText)
    state = { isOpen: batch.isOpen, isComplete: batch.isComplete }
    const events = batch.segments.map((segment) => segment.bytes(key, filter, eventText))
    // The id is sent even if the filter leaves out the last events, so that the client can continue from here.
    parts = batch.isOpen ? [...signals, ...events, `id: ${batch.last}\n\n`] : [': the database does not answer\n\n']
  }
  reader.close()
  response.end()
}

/**
 * Writes parts of a stream, and waits until the connection has accepted them.
 *
 * @returns false if the client has disconnected, or is too slow
 */
export async function isWritten(
  response: ServerResponse,
  parts: readonly Part[],
  drainMs = MAX_DRAIN_MS,
): Promise<boolean> {
  if (response.destroyed || response.writableEnded) return false
  const isTaken = parts.map((part) => part.length === 0 || response.write(part)).every(Boolean)
  if (isTaken) return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const taken = (): void => resolve(true)
  const lost = (): void => resolve(false)
  const timer = setTimeout(lost, drainMs)
  response.once('drain', taken).once('close', lost)
  const isDrained = await promise
  clearTimeout(timer)
  response.off('drain', taken).off('close', lost)
  if (!isDrained) response.destroy()
  return isDrained
}

function eventText(event: LiveEvent): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`
}

function signalText(signal: LiveSignal): string {
  return `event: ${signal.kind}\nid: ${signal.id}\ndata: ${JSON.stringify(signal)}\n\n`
}
