// The same parser in a worker thread with messages written by hand: 1,000 rows each, at most three on their way.
import { createReadStream } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { createGunzip } from 'node:zlib'
import { type Format, type OrderRow, splitter } from './parse-rows.ts'
import type { BareMessage } from './bare-rows.ts'

const PROGRESS_MS = 100

const { path, format } = workerData as { readonly path: string; readonly format: Format }
const file = createReadStream(path)
const source: AsyncIterable<Buffer> = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: 65_536 })) : file
const { parse, lines } = splitter(format)
let room = 3
let wake = (): void => {}
parentPort?.on('message', () => {
  room++
  wake()
})
let batch: OrderRow[] = []
let read = 0
let saidAt = 0

const tell = (message: BareMessage): void => parentPort?.postMessage(message)

async function send(): Promise<void> {
  while (room === 0) await new Promise<void>((resolve) => (wake = resolve))
  room--
  tell({ rows: batch })
  batch = []
}

for await (const bytes of source) {
  for (const line of lines(bytes)) {
    batch.push(parse(line))
    if (batch.length === 1_000) await send()
  }
  read += bytes.length
  if (performance.now() - saidAt < PROGRESS_MS) continue
  saidAt = performance.now()
  tell({ read })
}
await send()
tell({ read })
tell('end')
parentPort?.close()
