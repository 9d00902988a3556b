// A process that takes part in an election, and prints the instants at which it leads.
import { Piko, type PikoOptions } from 'piko'

const LOOK_MS = 2

const { settings } = JSON.parse(process.argv[2] ?? '{}') as { settings: NonNullable<PikoOptions['settings']> }
const app = new Piko({ jobs: [], settings })
await app.start()
const elector = app.elector('bench', { ttl: '1s' })
process.stdout.write('ready\n')
setInterval(() => {
  // Reads the clock first, so this instant is never later than the answer.
  const at = process.hrtime.bigint()
  const { isLeader, epoch } = elector
  if (isLeader) process.stdout.write(`leads ${epoch} ${at}\n`)
}, LOOK_MS)
