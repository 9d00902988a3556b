import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { defineJob, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

const FROM = new Date('2022-01-01T00:00:00Z')
const MINUTE_MS = 60_000
const PARALLEL = 1_000

function minutes(windows: number) {
  const end = new Date(FROM.getTime() + windows * MINUTE_MS)
  return defineJob({ id: 'minutes', cron: '* * * * *', windows: { start: FROM, end, catchUp: 'none' } }, () => {})
}

/** Occupies the only slot of the planning process, so that it executes nothing else. */
const hold = defineJob({ id: 'hold' }, ({ signal }) => once(signal, 'abort'))

/** The cost of planning for the process that does it; the handlers run in other processes. */
export default async function backfill(config: SystemConfig): Promise<Found> {
  const windows = Number(config['windows'])
  const settings = { ...storeSettings(config), piko: { log_level: 'silent', concurrency: 1 } }
  const app = new Piko({ jobs: [minutes(windows), hold], settings })
  await app.start()
  const held = await app.run('hold')
  const executes = fork(fileURLToPath(import.meta.url), [JSON.stringify(config)], { stdio: ['ignore', 2, 2, 'ipc'] })
  await once(executes, 'message')
  const about = await aboutPiko(app, config)
  const range = { from: FROM, to: new Date(FROM.getTime() + windows * MINUTE_MS) }
  const dry = meter()
  let listed = 0
  for await (const _ of app.backfills.preview('minutes', range)) listed += 1
  const dryCpuS = dry()
  const dryRssMb = peakRssMb()
  const planning = meter()
  const began = performance.now()
  const made = await app.backfills.create('minutes', { ...range, parallel: PARALLEL })
  const { succeeded } = await made.wait()
  const cpuS = planning()
  const tookS = (performance.now() - began) / 1_000
  if (listed !== windows || succeeded !== windows) throw new Error(`${listed} windows listed, ${succeeded} run`)
  await app.runs.cancel(held.id)
  executes.disconnect()
  await once(executes, 'exit')
  await app.stop()
  return {
    about,
    values: {
      'dry run CPU': { value: dryCpuS, unit: 's' },
      'dry run peak RSS': { value: dryRssMb, unit: 'MB' },
      'plan CPU': { value: cpuS, unit: 's' },
      'peak RSS': { value: peakRssMb(), unit: 'MB' },
      'time until all had run': { value: tookS, unit: 's' },
    },
    settings: { windows, parallel: PARALLEL },
  }
}

/** Returns a function that returns the CPU time of this process from now on, in seconds. */
function meter(): () => number {
  const from = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(from)
    return (user + system) / 1_000_000
  }
}

/** The largest resident memory since the process began, in MB. */
function peakRssMb(): number {
  return process.resourceUsage().maxRSS / 1_024
}

if (process.send) {
  const config = JSON.parse(process.argv[2] ?? '{}') as SystemConfig
  const settings = { ...storeSettings(config), piko: { log_level: 'silent', concurrency: 2_000 } }
  const app = new Piko({ jobs: minutes(Number(config['windows'])), plan: false, settings })
  await app.start()
  process.send('ready')
  await once(process, 'disconnect')
  await app.stop()
}
