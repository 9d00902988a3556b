import { finished, type Readable } from 'node:stream'

/** If this many bytes are waiting, the stream is paused. */
const MAX_WAITING = 131_072

/**
 * Yields the chunks of a stream of bytes as they were pushed. The stream's own iterator would join all waiting chunks, and this copy costs
 * as much as sending them. If the loop is left early, the stream is destroyed.
 */
export function chunksOf(stream: Readable): AsyncIterable<unknown> {
  // A stream with a listener for `readable` does not flow. A stream of objects never joins its objects. In both cases, its own iterator is
  // used.
  return stream.readableObjectMode || stream.listenerCount('readable') > 0 ? stream : flowing(stream)
}

async function* flowing(stream: Readable): AsyncGenerator<unknown, void, undefined> {
  let waiting: unknown[] = []
  let bytes = 0
  let isEnded = false
  let failure: Error | null | undefined
  let news = Promise.withResolvers<void>()
  const take = (chunk: Uint8Array | string): void => {
    waiting.push(chunk)
    bytes += chunk.length
    if (bytes >= MAX_WAITING) stream.pause()
    news.resolve()
  }
  const unwatch = finished(stream, { writable: false }, (error) => {
    isEnded = true
    failure = error
    news.resolve()
  })
  stream.on('data', take)
  try {
    for (;;) {
      const chunks = waiting
      waiting = []
      bytes = 0
      if (chunks.length === 0 && isEnded) break
      yield* chunks
      if (waiting.length > 0 || isEnded) continue
      news = Promise.withResolvers<void>()
      if (stream.isPaused()) stream.resume()
      await news.promise
    }
    if (failure) throw failure
  } finally {
    stream.off('data', take)
    // If the stream's `destroy` fails, the error comes later, when no code waits for it any more.
    if (!isEnded) stream.on('error', () => {}).destroy()
    unwatch()
  }
}
