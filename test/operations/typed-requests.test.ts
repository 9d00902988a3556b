import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, jobSpec } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected, thrown } from '../support/thrown.ts'

const order = z.object({ id: z.number().int(), at: z.coerce.date().optional(), express: z.boolean().default(false) })

describeEachStore((fixture) => {
  const start = async (...jobs: Parameters<typeof startApp>[1][]) => {
    await fixture.empty()
    return startApp(fixture.options, jobs.flat())
  }

  it('checks an input when it is asked for, as the database will return it, and parses it for the handler', async () => {
    const seen: unknown[] = []
    const ship = defineJob({ id: 'ship', input: order }, (ctx) => void seen.push(ctx.input))
    const app = await start(ship)
    const run = await app.run(ship, { input: { id: 1, at: new Date(0) }, wait: true })
    expect(run.input).toEqual({ id: 1, at: '1970-01-01T00:00:00.000Z' })
    expect(seen).toEqual([{ id: 1, at: new Date(0), express: false }])
    const wrong: unknown = { id: 1.5, express: 'yes' }
    const error = await rejected(app.run('ship', { input: wrong }))
    expect(error).toMatchObject({ code: 'INPUT_INVALID', details: { jobId: 'ship', problems: [{}, {}] } })
    expect(error.message).toMatch(
      /^the input \{"id":1.5,"express":"yes"\} of job "ship" does not match its schema: id: .+; express: /,
    )
    expect(await rejected(app.enqueue('ship'))).toMatchObject({ code: 'INPUT_INVALID' })
  })

  it('says of a value that JSON changes what it becomes, and of one that JSON loses where it is', async () => {
    const strict = defineJob({ id: 'strict', input: z.object({ at: z.date(), tags: z.unknown() }) }, () => {})
    const app = await start(strict)
    const error = await rejected(app.run(strict, { input: { at: new Date(0), tags: new Map() } }))
    expect(error.code).toBe('INPUT_INVALID')
    expect(error.message).toMatch(/input\.tags .*Map.*; at: .*z\.coerce\.date\(\)/)
  })

  it('stores none of many when one is wrong', async () => {
    const ship = defineJob({ id: 'ship', input: order }, () => {})
    const app = await start(ship)
    const items = [{ input: { id: 1 } }, { input: { id: 'x' } as unknown as { id: number } }]
    expect(await rejected(app.enqueueMany(ship, items))).toMatchObject({ code: 'INPUT_INVALID' })
    expect(await app.runs.list({ jobId: 'ship' })).toEqual([])
  })

  it('fails a queued run whose stored input no longer fits, without a retry', async () => {
    let isStrict = false
    const input = z.string().refine((text) => !isStrict || text === 'new', 'is old')
    const ship = defineJob({ id: 'ship', input, retry: { limit: 3 } }, () => {})
    const app = await start(ship)
    const id = await app.sql.transaction(async (trx) => {
      const request = await app.enqueue(ship, { input: 'old', trx })
      // Before the commit, nothing can execute the run.
      isStrict = true
      return request
    })
    const run = await app.waitFor(id)
    expect(run).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'INPUT_INVALID' } })
    expect(run.error?.message).toContain('is old')
  })

  it('fails a run whose output does not match its schema, and tries it again', async () => {
    const outputs = [{ rows: '1' }, { rows: 1 }]
    const output = z.object({ rows: z.number() })
    const count = defineJob(
      { id: 'count', output, retry: { limit: 1, base: '1ms' } },
      () => outputs.shift() as { rows: number },
    )
    const nothing = defineJob({ id: 'nothing', output }, () => undefined as unknown as { rows: number })
    const app = await start(count, nothing)
    const attempts: unknown[] = []
    app.events.on('run.settled', ({ error }) => attempts.push(error?.message))
    expect((await app.run(count, { wait: true })).output).toEqual({ rows: 1 })
    expect(attempts[0]).toMatch(/^the output \{"rows":"1"\} of job "count" does not match its schema: rows: /)
    const refused = await app.waitFor(await app.enqueue(nothing))
    expect(refused).toMatchObject({ state: 'failed', error: { code: 'OUTPUT_INVALID' } })
  })

  it('rolls back a commit whose result does not match its schema', async () => {
    const job = defineJob({ id: 'commit', output: z.object({ rows: z.number() }) }, async (ctx) => {
      await ctx.commit(async (trx) => {
        await trx.exec('INSERT INTO written (id) VALUES (?)', [1])
        return { rows: 'one' }
      })
      return { rows: 1 }
    })
    const app = await start(job)
    await app.sql.exec('DROP TABLE IF EXISTS written')
    await app.sql.exec('CREATE TABLE written (id INT)')
    const run = await app.waitFor(await app.enqueue(job))
    expect(run).toMatchObject({ state: 'failed', error: { code: 'OUTPUT_INVALID' } })
    expect(await app.sql.query('SELECT id FROM written')).toEqual([])
    await app.sql.exec('DROP TABLE written')
  })

  it('takes a definition, a spec or an id for the same job', async () => {
    const spec = jobSpec({ id: 'one', input: z.string() })
    const one = defineJob(spec, (ctx) => `${ctx.input}!`)
    const daily = defineJob(
      {
        id: 'daily',
        every: '1d',
        windows: { start: '2025-01-01T00:00:00Z', end: '2025-01-03T00:00:00Z', catchUp: 'none' },
      },
      () => {},
    )
    const app = await start(one, daily)
    const ids = [
      await app.enqueue(one, { input: 'a' }),
      await app.enqueue(spec, { input: 'b' }),
      ...(await app.enqueueMany(one, [{ input: 'c' }])),
      (await app.run('one', { input: 'd' })).id,
    ]
    const outputs = await Promise.all(ids.map(async (id) => (await app.waitFor(one, id)).output))
    expect(outputs).toEqual(['a!', 'b!', 'c!', 'd!'])
    const backfill = await app.backfills.create(daily, { from: '2025-01-01T00:00:00Z', to: '2025-01-02T00:00:00Z' })
    expect(await backfill.wait()).toMatchObject({ jobId: 'daily', state: 'succeeded' })
    expect(await rejected(app.waitFor(daily, ids[0] as number))).toMatchObject({
      code: 'USAGE',
      message: `run ${ids[0]} belongs to job "one"; expected a run of job "daily"`,
    })
    for (const job of [undefined, 5, {}, { id: 5 }] as unknown as string[]) {
      expect(await rejected(app.run(job))).toMatchObject({ code: 'USAGE', message: /^app\.run got .* expected the id/ })
    }
    for (const id of [NaN, Infinity]) expect(await rejected(app.runs.show(id))).toMatchObject({ code: 'RUN_UNKNOWN' })
  })
})

it('refuses an input that the runs of a schedule can not have, together with what else is wrong', () => {
  const input = z.object({ id: z.number() })
  const error = thrown(() =>
    defineJob({ id: 'nightly', cron: '0 0 * * *', input, output: 5 as unknown as z.ZodType }, () => {}),
  )
  expect(error.code).toBe('JOB_INVALID')
  expect(error.details).toMatchObject({
    problems: [
      'output is 5; expected a zod schema',
      'input requires a value, but the runs of cron have none; add .optional() or .default(…) to the schema',
    ],
  })
  expect(() => defineJob({ id: 'nightly', every: '1h', input: input.optional() }, () => {})).not.toThrow()
})
