import type { ServerResponse } from 'node:http'
import type { LiveEvent, LiveFilter, LiveSignal } from '../../../live/live-event.ts'
import type { LiveReader } from '../../../engine/live/live-reader.ts'
import { NOT_OPEN, type ReaderState, signalsOf } from '../../../operations/live/live.ts'

/** Proxies and clients end connections on which nothing arrives. */
export const HEARTBEAT_MS = 10_000
/** A reader that has not taken a batch after this time is cut off. */
const MAX_DRAIN_MS = 15_000
/** How long a client waits before it connects again. */
export const RETRY_MS = 2_000

/** Writes events to one client as they happen, until it goes, is too slow, or the server stops. */
export async function writeEvents(
  response: ServerResponse,
  reader: LiveReader,
  filter: LiveFilter,
  drainMs = MAX_DRAIN_MS,
): Promise<void> {
  const key = JSON.stringify([filter.kinds, filter.jobs])
  response.once('close', () => reader.close())
  let state: ReaderState = NOT_OPEN
  let text = `retry: ${RETRY_MS}\n\n`
  while (await isWritten(response, text, drainMs)) {
    const batch = await reader.next(state.isOpen ? HEARTBEAT_MS : 1_000)
    if (!batch) break
    const parts = signalsOf(state, batch).map(signalText)
    state = { isOpen: batch.isOpen, isComplete: batch.isComplete }
    for (const segment of batch.segments) parts.push(segment.text(key, filter, eventText))
    // The id moves on although the filter leaves the last events out, so that the client can continue from here.
    text = batch.isOpen ? `${parts.join('')}id: ${batch.last}\n\n` : ': the database does not answer\n\n'
  }
  reader.close()
  response.end()
}

/** @returns false if the client has gone, or is too slow */
export async function isWritten(response: ServerResponse, text: string, drainMs = MAX_DRAIN_MS): Promise<boolean> {
  if (response.destroyed || response.writableEnded) return false
  if (response.write(text)) return true
  let timer: NodeJS.Timeout | undefined
  const isDrained = await new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), drainMs)
    response.once('drain', () => resolve(true))
    response.once('close', () => resolve(false))
  })
  clearTimeout(timer)
  response.removeAllListeners('drain')
  if (!isDrained) response.destroy()
  return isDrained
}

function eventText(event: LiveEvent): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`
}

function signalText(signal: LiveSignal): string {
  return `event: ${signal.kind}\nid: ${signal.id}\ndata: ${JSON.stringify(signal)}\n\n`
}
