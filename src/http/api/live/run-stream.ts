import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunNews } from '../../../operations/runs/follow-run.ts'
import { HEARTBEAT_MS, isWritten, RETRY_MS } from './stream.ts'

type Next = IteratorResult<RunNews, void>

/** Writes what happens to a run to one client, until the run has ended, the client disconnects or is too slow, or the server stops. */
export async function writeRunNews(
  response: ServerResponse,
  first: Next,
  news: AsyncIterator<RunNews, void>,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  let text = `retry: ${RETRY_MS}\n\n`
  let next: Promise<Next> = Promise.resolve(first)
  while (await isWritten(response, [text])) {
    const one = await nextWithin(next, gone.signal)
    if (one === undefined) {
      text = ': nothing new\n\n'
      continue
    }
    if (one.done) break
    text = newsText(one.value)
    next = news.next()
    // Handles the rejection, because nothing awaits this promise if the client has disconnected. Otherwise the next turn of the loop awaits
    // it.
    next.catch(() => {})
  }
  response.end()
}

/**
 * Waits for the next news of a run.
 *
 * @returns undefined if there is nothing new before the next heartbeat, or the client has disconnected
 */
async function nextWithin(next: Promise<Next>, gone: AbortSignal): Promise<Next | undefined> {
  const timer = new AbortController()
  const signal = AbortSignal.any([timer.signal, gone])
  try {
    return await Promise.race([next, sleep(HEARTBEAT_MS, undefined, { signal }).catch(() => undefined)])
  } finally {
    timer.abort()
  }
}

function newsText(news: RunNews): string {
  const id = news.kind === 'line' ? `id: ${news.line.id}\n` : ''
  return `event: ${news.kind}\n${id}data: ${JSON.stringify(news)}\n\n`
}
