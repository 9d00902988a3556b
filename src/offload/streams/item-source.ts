import { Readable } from 'node:stream'

/** Items to send, one after another. */
export interface ItemSource {
  next(): Promise<IteratorResult<unknown>> | IteratorResult<unknown>
  /** Ends the source early, even while it waits for its next item. */
  end(): unknown
}

type AnyIterable = AsyncIterable<unknown> | Iterable<unknown>

/** Whether a value is a stream to be sent item by item, rather than a value to be copied. */
export function isStream(value: unknown): value is AnyIterable {
  if (typeof value !== 'object' || value === null) return false
  if (Symbol.asyncIterator in value) return true
  // These are generators and other iterators. Lists, maps and sets are sent as one value.
  return 'next' in value && typeof value.next === 'function' && Symbol.iterator in value
}

export function itemSource(stream: AnyIterable): ItemSource {
  if (stream instanceof ReadableStream) return readerSource(stream)
  if (Symbol.asyncIterator in stream) return asyncSource(stream)
  const iterator = stream[Symbol.iterator]()
  return { next: () => awaited(iterator.next()), end: () => iterator.return?.() }
}

function asyncSource(stream: AsyncIterable<unknown>): ItemSource {
  const iterator = stream[Symbol.asyncIterator]()
  return {
    // As in `for await`, a result may come without a promise, or as a promise of another library.
    next: () => {
      const next: unknown = iterator.next()
      return next instanceof Promise ? (next as Promise<IteratorResult<unknown>>) : resolved(next)
    },
    // The iterator of a Node stream that waits for data would not return, so the stream itself is destroyed.
    end: () => (stream instanceof Readable ? void stream.destroy() : iterator.return?.()),
  }
}

async function resolved(next: unknown): Promise<IteratorResult<unknown>> {
  return (await next) as IteratorResult<unknown>
}

/** A generator that is not async may yield promises, as in `for await`. */
function awaited(result: IteratorResult<unknown>): Promise<IteratorResult<unknown>> | IteratorResult<unknown> {
  if (!(result.value instanceof Promise)) return result
  return result.value.then((value: unknown) => ({ done: result.done ?? false, value }))
}

function readerSource(stream: ReadableStream<unknown>): ItemSource {
  const reader = stream.getReader()
  return {
    next: async () => {
      const { done, value } = await reader.read()
      return done ? { done: true, value: undefined } : { done: false, value: value }
    },
    end: () => reader.cancel(),
  }
}
