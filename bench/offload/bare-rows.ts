import { Worker } from 'node:worker_threads'
import type { Format, OrderRow } from './parse-rows.ts'

export type BareMessage = { readonly rows: readonly OrderRow[] } | { readonly read: number } | 'end'

/** The rows of a bare worker, in the lists in which they arrive. This is what a user would write without a library. */
export async function* bareLists(
  path: string,
  format: Format,
  onProgress: (read: number) => void,
): AsyncGenerator<readonly OrderRow[], void, undefined> {
  const worker = new Worker(new URL('bare-stream-worker.mjs', import.meta.url), { workerData: { path, format } })
  const queue: BareMessage[] = []
  let failure: Error | undefined
  let wake = (): void => {}
  worker.on('message', (message: BareMessage) => {
    queue.push(message)
    wake()
  })
  worker.on('error', (error: Error) => {
    failure = error
    wake()
  })
  try {
    for (;;) {
      while (queue.length === 0) {
        if (failure) throw failure
        await new Promise<void>((resolve) => (wake = resolve))
      }
      const message = queue.shift()
      if (message === 'end') return
      if (message === undefined) continue
      if ('read' in message) onProgress(message.read)
      else {
        yield message.rows
        worker.postMessage('more')
      }
    }
  } finally {
    await worker.terminate()
  }
}

/** The same rows one by one. */
export async function* bareRows(...args: Parameters<typeof bareLists>): AsyncGenerator<OrderRow, void, undefined> {
  for await (const rows of bareLists(...args)) for (const row of rows) yield row
}
