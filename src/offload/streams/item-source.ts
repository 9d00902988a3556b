import { Readable } from 'node:stream'

/** Items to send, one after another. */
export interface ItemSource {
  next(): Promise<IteratorResult<unknown>> | IteratorResult<unknown>
  /** Ends the source early, even while it is waiting for its next item. */
  end(): unknown
}

type AnyIterable = AsyncIterable<unknown> | Iterable<unknown>

/** Whether a value is a stream, which is sent item by item. Any other value is copied. */
export function isStream(value: unknown): value is AnyIterable {
  if (typeof value !== 'object' || value === null) return false
  if (Symbol.asyncIterator in value) return true
  // Generators and other iterators are streams. Lists, maps and sets are sent as one value.
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
    // As in `for await`, the result need not be a promise. It may also be the promise of another library.
    next: () => {
      const next: unknown = iterator.next()
      return next instanceof Promise ? (next as Promise<IteratorResult<unknown>>) : resolved(next)
    },
    // If a Node stream is waiting for data, the `return` of its iterator would not end it. So the stream itself is destroyed.
    end: () => (stream instanceof Readable ? void stream.destroy() : iterator.return?.()),
  }
}

async function resolved(next: unknown): Promise<IteratorResult<unknown>> {
  return (await next) as IteratorResult<unknown>
}

/** Awaits the value of a result. As in `for await`, a generator that is not async may yield promises. */
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
