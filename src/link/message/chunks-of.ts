import { finished, type Readable } from 'node:stream'

/** The stream pauses when this many bytes wait. */
const MAX_WAITING = 131_072

/**
 * The chunks of a stream of bytes, each as it was pushed. The stream's own iterator joins all chunks that wait, and to copy them costs as
 * much as to send them. Destroys the stream if the loop is left early.
 */
export function chunksOf(stream: Readable): AsyncIterable<unknown> {
  // With a listener for `readable`, a stream does not flow. Objects are never joined.
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
    // A stream whose `destroy` fails emits the error later, when nobody waits for it any more.
    if (!isEnded) stream.on('error', () => {}).destroy()
    unwatch()
  }
}
