import { defineJob, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import { payload, type SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

/** The runs are due once the app that executes them is idle. */
const DUE_IN_MS = 8_000
const BULK = 1_000

/** Requests runs that are due in a while, all together. */
export default async function ask(config: SystemConfig): Promise<Found> {
  const runs = Number(config['runs'])
  const hold = defineJob({ id: 'hold' }, () => {})
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const app = new Piko({ jobs: hold, execute: false, settings })
  await app.start()
  const runAtMs = Date.now() + DUE_IN_MS + runs / 5
  for (let from = 0; from < runs; from += BULK) {
    const ids = Array.from({ length: Math.min(BULK, runs - from) }, (_, index) => from + index)
    await app.enqueueMany(
      'hold',
      ids.map((id) => ({ input: payload(id), runAt: new Date(runAtMs) })),
    )
  }
  const about = await aboutPiko(app, config)
  await app.stop()
  return { about, values: {}, settings: { runAtMs } }
}
