// Netcore's `schedule(fn, delay, interval)`: a job with `every`, and a run with `runAt`. A job that fails runs again at its next time.
import { defineJob, Piko } from 'piko'

let ticks = 0
const done = Promise.withResolvers<void>()
const heartbeat = defineJob({ id: 'heartbeat', every: '1s' }, () => {
  ticks++
  console.log('tick', ticks)
  if (ticks === 1) throw new Error('once')
  if (ticks === 3) done.resolve()
})
const later = defineJob({ id: 'later' }, ({ input }) => `said ${String(input)}`)

const app = new Piko({ jobs: [heartbeat, later], settings: { piko: { log_level: 'silent' } } })
await app.start()
const said = await app.run(later, { input: 'hello', runAt: new Date(Date.now() + 500), wait: true })
console.log(said.output)
await done.promise
await app.stop()
