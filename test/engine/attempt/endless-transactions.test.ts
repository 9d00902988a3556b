import { beforeEach, describe, expect, it } from 'vitest'
import type { JobContext } from '../../../src/job/context.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { SqlExecutor } from '../../../src/sql/sql.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { eventually, Gate, makeApp, nextEvent, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { effectsOf, emptyEffects } from '../../support/effect-table.ts'
import { rejected } from '../../support/thrown.ts'

const INSERT = 'INSERT INTO effect (run_id) VALUES (?)'
const never = (): Promise<never> => new Promise<never>(() => {})

describeEachStore((store) => {
  let database: Database
  /** What calls of a `trx` after its transaction had to end were answered. */
  let late: Promise<unknown>[]

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
    await emptyEffects(database)
    late = []
  })

  /** Writes, then waits for the gate, which opens only after the run has ended, and writes again. */
  const endless = (gate: Gate, runId: number) => async (trx: SqlExecutor) => {
    await trx.exec(INSERT, [runId])
    late.push(gate.pass().then(() => rejected(trx.exec(INSERT, [runId]))))
    return never()
  }
  type Begin = (ctx: JobContext, fn: (trx: SqlExecutor) => Promise<never>) => Promise<unknown>
  const ways: Record<string, Begin> = {
    'ctx.commit': (ctx, fn) => ctx.commit(fn),
    'a step with a transaction': (ctx, fn) => ctx.step('load', fn, { transaction: true }),
    'app.sql.transaction in a handler': (_ctx, fn) => app.sql.transaction(fn),
  }
  const quick = defineJob({ id: 'quick' }, () => 'done')
  let app: Awaited<ReturnType<typeof startApp>>

  describe.each(Object.entries(ways))('%s that never ends', (_way, begin) => {
    const hanging = (gate: Gate, options: { timeout?: '300ms' } = {}) =>
      defineJob({ id: 'hanging', retry: { limit: 0 }, ...options }, (ctx) =>
        begin(ctx as JobContext, endless(gate, ctx.runId)),
      )

    it('is rolled back at the timeout of its run, which ends for that reason, and others continue', async () => {
      const gate = new Gate()
      app = await startApp(store.options, [hanging(gate, { timeout: '300ms' }), quick])
      // A handler that begins after the first use has the signal of its run.
      expect(app.sql.dialect).toBe(store.name)
      const settled = nextEvent(app, 'run.settled', ({ jobId }) => jobId === 'hanging')
      const id = await app.enqueue('hanging')
      expect(await settled).toMatchObject({ outcome: 'timeout' })
      expect(await app.run('quick', { wait: true })).toMatchObject({ state: 'succeeded' })
      expect(await app.runs.show(id)).toMatchObject({ state: 'failed', error: { code: 'RUN_TIMEOUT' } })
      gate.open()
      expect(await Promise.all(late)).toMatchObject([
        { code: 'TRANSACTION_ROLLED_BACK', cause: { code: 'RUN_TIMEOUT' } },
      ])
      expect(await effectsOf(database)).toEqual([])
    })

    it('ends without a timeout of its run too, after transaction_timeout', async () => {
      const gate = new Gate()
      const settings = { piko: { transaction_timeout: '300ms' } }
      app = await startApp(store.options, [hanging(gate), quick], { settings })
      const hung = await app.enqueue('hanging')
      const others = await app.enqueueMany('quick', [{}, {}])
      await eventually(async () =>
        expect(await app.runs.show(hung)).toMatchObject({ state: 'failed', error: { code: 'TRANSACTION_TIMEOUT' } }),
      )
      for (const id of others) expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
      expect(await effectsOf(database)).toEqual([])
    })
  })

  it('a stop ends the transaction of a run, and the run goes back to the queue', async () => {
    const job = defineJob({ id: 'hanging' }, (ctx) => ctx.commit(never))
    app = makeApp(store.options, job, { settings: { piko: { shutdown_timeout: '0s' } } })
    await app.start()
    const started = nextEvent(app, 'run.started')
    const id = await app.enqueue('hanging')
    await started
    await app.stop()
    const [row] = await database.sql.query('SELECT state FROM piko_run WHERE id = ?', [id])
    expect(row).toEqual({ state: 'queued' })
  })

  it('a cancel ends the transaction of a run, once it is stored', async () => {
    const job = defineJob({ id: 'hanging' }, (ctx) => ctx.commit(never))
    app = await startApp(store.options, job, { settings: { piko: { transaction_timeout: '1m' } } })
    const started = nextEvent(app, 'run.started')
    const settled = nextEvent(app, 'run.settled')
    const id = await app.enqueue('hanging')
    await started
    // On SQLite the request waits for the transaction, which ends after half of the lease.
    await app.runs.cancel(id)
    expect(await settled).toMatchObject({ outcome: store.name === 'mysql' ? 'cancelled' : 'failure' })
  })

  it('app.sql.transaction outside a run ends after its timeout, and says so', async () => {
    app = await startApp(store.options, quick)
    const gate = new Gate()
    const error = await rejected(app.sql.transaction(endless(gate, 1), { timeout: '100ms' }))
    expect(error).toMatchObject({ code: 'TRANSACTION_TIMEOUT', details: { timeoutMs: 100 } })
    expect(error.message).toContain('[piko] transaction_timeout')
    expect(await app.run('quick', { wait: true })).toMatchObject({ state: 'succeeded' })
    gate.open()
    expect(await Promise.all(late)).toMatchObject([{ code: 'TRANSACTION_ROLLED_BACK' }])
    expect(await effectsOf(database)).toEqual([])
    for (const options of [{ timeout: '0s' }, { timeout: 5 }, { timeot: '1s' }, 7])
      expect((await rejected(app.sql.transaction(never, options as never))).code).toMatch(/USAGE|DURATION_INVALID/)
  })

  it.runIf(store.name === 'sqlite')('refuses a timeout on SQLite for which the lease is too short', async () => {
    app = await startApp(store.options, quick)
    expect(await rejected(app.sql.transaction(never, { timeout: '1m' }))).toMatchObject({
      code: 'USAGE',
      message:
        'timeout of sql.transaction is "1m"; expected more than 0 and, on SQLite, at most 7500 ms (half of [piko] lease)',
    })
  })

  it('refuses steps inside app.sql.transaction, before anything of them is stored', async () => {
    const job = defineJob({ id: 'steps', retry: { limit: 0 } }, async (ctx) => {
      const calls = [() => ctx.step('a', () => 1), () => ctx.until('b', () => 1, { every: '1s', for: '1m' })]
      const codes: string[] = []
      for (const call of calls)
        codes.push((await rejected(app.sql.transaction(async () => call().then(String)))).message)
      return codes
    })
    app = await startApp(store.options, job)
    const { id, output } = await app.run(job, { wait: true })
    const why = 'inside of a transaction: it would be remembered even if the transaction is rolled back'
    expect(output).toEqual([expect.stringContaining(`ctx.step ${why}`), expect.stringContaining(`ctx.until ${why}`)])
    expect((await app.runs.show(id)).steps).toEqual([])
  })
})
