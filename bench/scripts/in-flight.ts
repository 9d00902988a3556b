import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { heldRss } from '../harness/held-rss.ts'
import type { Found } from '../harness/rounds.ts'
import { runScript } from '../harness/script.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

/** Parallel handlers that each await a promise. Measures the cost of each and how long it takes until all have begun. */
export default async function inFlight(config: SystemConfig): Promise<Found> {
  const runs = Number(config['runs'])
  const settings = { piko: { log_level: 'silent', concurrency: runs }, ...storeSettings(config) }
  const release: (() => void)[] = []
  let firstAt = 0
  let lastAt = 0
  const allBegun = Promise.withResolvers<void>()
  const hold = defineJob({ id: 'hold' }, async () => {
    lastAt = performance.now()
    firstAt ||= lastAt
    const released = new Promise<void>((resolve) => release.push(resolve))
    if (release.length === runs) allBegun.resolve()
    await released
  })
  // Another process requests the runs, since the memory used for requests would hide the memory used by the runs.
  const asked = await runScript(new URL('in-flight-ask.ts', import.meta.url), config)
  const runAt = new Date(Number(asked.settings?.['runAtMs']))
  const app = new Piko({ jobs: hold, settings })
  let settled = 0
  const allSettled = Promise.withResolvers<void>()
  app.events.on('run.settled', () => ++settled === runs && allSettled.resolve())
  await app.start()
  await sleep(1_000)
  const idle = await heldRss()
  if (Date.now() > runAt.getTime()) throw new Error('the runs were due before the app was idle')
  await allBegun.promise
  const held = await heldRss()
  const about = await aboutPiko(app, config)
  for (const go of release) go()
  await allSettled.promise
  await app.stop()
  return {
    about,
    values: {
      'RSS per run': { value: (held - idle) / runs, unit: 'bytes' },
      'time until all have begun': { value: lastAt - firstAt, unit: 'ms' },
      'time from the due time until all have begun': {
        value: performance.timeOrigin + lastAt - runAt.getTime(),
        unit: 'ms',
      },
    },
    settings: { runs },
  }
}
