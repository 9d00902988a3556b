/** Runs a job every second: `node --conditions=piko-source --import tsx examples/hello.ts` */
import { job, type JobContext, Piko } from 'piko'

class Hello {
  @job({ id: 'hello', cron: '* * * * * *' })
  greet(ctx: JobContext): void {
    console.log(`hello at ${ctx.scheduledTime.toISOString()}`)
  }
}

const app = new Piko({ jobs: [Hello] })
await app.start()

let ticks = 0
app.events.on('run.settled', () => {
  ticks += 1
  if (ticks === 3) void app.stop()
})
