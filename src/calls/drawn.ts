import { propertyOf, safely, watchStray } from '../errors-read.ts'
import { expecting } from '../options.ts'
import { untilAborted } from '../signals/until-aborted.ts'

/** A source of items. */
export type Source<T> = Iterable<T> | AsyncIterable<T>

export const aSource = expecting(
  'an iterable or an async iterable',
  (value) =>
    typeof value === 'string' ||
    typeof propertyOf(value, Symbol.asyncIterator) === 'function' ||
    typeof propertyOf(value, Symbol.iterator) === 'function',
)

/**
 * Reads items from a source, each only when it is needed. The signal ends the wait for the next item, even if the source never answers.
 * Closes the source unless it has already ended.
 *
 * @throws the signal's reason, and any error of the source
 */
export async function* drawn<T>(source: Source<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void, void> {
  signal?.throwIfAborted()
  const items = new Items(source)
  try {
    for (;;) {
      const next = await untilAborted(items.next(), signal)
      if (next.done) return
      yield next.value
      signal?.throwIfAborted()
    }
  } finally {
    await items.close(signal?.aborted ?? false)
  }
}

class Items<T> {
  readonly #iterator: AsyncIterator<T, unknown>
  #state: 'idle' | 'asked' | 'over' = 'idle'

  constructor(source: Source<T>) {
    this.#iterator =
      Symbol.asyncIterator in Object(source) ? openAsync(source as AsyncIterable<T>) : each(source as Iterable<T>)
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    this.#state = 'asked'
    let isOver = true
    try {
      const next = await this.#iterator.next()
      isOver = next.done === true
      return next
    } finally {
      this.#state = isOver ? 'over' : 'idle'
    }
  }

  async close(mayFail: boolean): Promise<void> {
    if (this.#state === 'over') return
    // The source can't be closed while its `next` is pending, and `next` may never settle. So this does not wait for the close.
    if (this.#state === 'asked') safely(() => watchStray(this.#iterator.return?.()), undefined)
    else if (mayFail) await this.#iterator.return?.().then(undefined, () => {})
    else await this.#iterator.return?.()
  }
}

function openAsync<T>(source: AsyncIterable<T>): AsyncIterator<T, unknown> {
  return source[Symbol.asyncIterator]()
}

async function* each<T>(source: Iterable<T>): AsyncGenerator<T, void, void> {
  yield* source
}
