// A node of the benchmark `items`: works until it is killed, and prints each failure of its loops.
import { Piko, type PikoOptions } from 'piko'
import { graphJob, type Shape } from './jobs.ts'

const { settings, shape, pages } = JSON.parse(process.argv[2] ?? '{}') as {
  settings: NonNullable<PikoOptions['settings']>
  shape: Shape
  pages: number
}
const app = new Piko({ jobs: graphJob(shape, pages), settings })
app.events.on('loop.failed', ({ loop, error }) => process.stdout.write(`failed ${loop}: ${error.message}\n`))
await app.start()
process.stdout.write('ready\n')
