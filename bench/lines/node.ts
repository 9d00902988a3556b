import { setTimeout as sleep } from 'node:timers/promises'
import { Piko } from 'piko'
import type { Line } from './line.ts'
import type { LineOrder } from './line-node.ts'

const { module, options, settings, blockMs } = JSON.parse(process.argv[2] ?? '{}') as LineOrder
const { line } = (await import(new URL(`${module}.ts`, import.meta.url).href)) as { readonly line: Line<unknown> }
const app = new Piko({ jobs: line.crawl(options), settings })
await app.start()
process.stdout.write('started\n')
process.once('SIGTERM', () => void app.stop())

while (blockMs > 0 && !app.isStopping) {
  const until = performance.now() + blockMs
  while (performance.now() < until);
  await sleep(1_000 - blockMs)
}
