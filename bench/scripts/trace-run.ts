// One measurement for bench/scripts/trace-cost.ts: enqueues and executes runs with the package in a folder, and prints runs per second.
import { pathToFileURL } from 'node:url'
import type * as Package from 'piko'

const { root, runs, settings } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly root: string
  readonly runs: number
  readonly settings: NonNullable<Package.PikoOptions['settings']>
}
const { defineJob, Piko } = (await import(pathToFileURL(`${root}/dist/index.js`).href)) as typeof Package
const done = Promise.withResolvers<void>()
let left = runs
const job = defineJob({ id: 'empty' }, () => {
  left -= 1
  if (left === 0) done.resolve()
})
const app = new Piko({ jobs: [job], settings })
await app.start()
const begin = performance.now()
for (let sent = 0; sent < runs; sent += 1_000)
  await app.enqueueMany(
    'empty',
    Array.from({ length: Math.min(1_000, runs - sent) }, () => ({})),
  )
await done.promise
process.stdout.write(String(runs / ((performance.now() - begin) / 1_000)))
await app.stop()
