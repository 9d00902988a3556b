/** The job file with decorators. `START` stands for the start of the first window. */

export const HELLO_TS_CLASS = `import { job, jobSpec, type ContextOf, type JobContext } from 'piko'

const daily = jobSpec({
  id: 'daily',
  cron: '0 0 * * *', // at midnight (UTC, or in your timezone), for the day that ends
  windows: { start: 'START' }, // each day once, even those on which nothing was running
  retry: { limit: 3, base: '10s' },
  timeout: '10m',
})

export class Jobs {
  @job({ id: 'hello', every: '5s' })
  hello(ctx: JobContext) {
    ctx.log.info(\`hello at \${ctx.scheduledTime.toISOString()}\`)
  }

  @job(daily)
  daily(ctx: ContextOf<typeof daily>) {
    const day = ctx.window.start.toISOString().slice(0, 10)
    ctx.log.info(\`here you would load the data of \${day}\`)
    return { day }
  }
}
`

const functions = (firstLine: string): string => `${firstLine}

export const hello = defineJob({ id: 'hello', every: '5s' }, (ctx) => {
  ctx.log.info(\`hello at \${ctx.scheduledTime.toISOString()}\`)
})

export const daily = defineJob(
  {
    id: 'daily',
    cron: '0 0 * * *', // at midnight (UTC, or in your timezone), for the day that ends
    windows: { start: 'START' }, // each day once, even those on which nothing was running
    retry: { limit: 3, base: '10s' },
    timeout: '10m',
  },
  (ctx) => {
    const day = ctx.window.start.toISOString().slice(0, 10)
    ctx.log.info(\`here you would load the data of \${day}\`)
    return { day }
  },
)
`

/** The job file with functions, for TypeScript and JavaScript. */
export const HELLO_FUNCTION = functions(`import { defineJob } from 'piko'`)

/** The test file; it needs no database. `JOBS` stands for the export with the jobs, `ENDING` for the file extension. */
export const HELLO_TEST = `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runJob, simulate } from 'piko/testing'
import { JOBS } from '../jobs/hello.ENDING'

test('runs at midnight, for the day that ends', () => {
  const { ticks, windows } = simulate(JOBS, { id: 'daily', from: '2030-01-02', to: '2030-01-03' })
  assert.deepEqual(
    ticks.map(({ at }) => at.toISOString()),
    ['2030-01-02T00:00:00.000Z'],
  )
  assert.equal(windows[0]?.start.toISOString(), '2030-01-01T00:00:00.000Z')
})

test('tells the day that it has loaded', async () => {
  const { output } = await runJob(JOBS, { id: 'daily', window: '2030-01-01' })
  assert.deepEqual(output, { day: '2030-01-01' })
})
`
