import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'mysql2/promise'
import { defineJob, defineSink, sqlTable } from 'piko'
import { z } from 'zod'
import { PAST_MS } from './changes.ts'
import { crawlJob } from './crawl-job.ts'
import { ITEMS_A_WINDOW, LIMIT, LONG_MS, RATE_LIMIT } from './tables.ts'

const Item = z.object({ item: z.int() })
const items = sqlTable<z.infer<typeof Item>>({ name: 'chaos_sunk', columns: ['item'], fenceColumn: 'fence' })
const Items = defineSink({
  name: 'items',
  on: [[Item, (rows, batch) => items.replace(batch, rows)]],
  clear: (scope) => items.clear(scope),
})

/** Database failures are expected here, and must not use up the attempts. */
const retry = { limit: 10_000, base: '100ms', max: '1s' } as const

/**
 * The jobs of the chaos suite: windows with `ctx.commit`, windows with a typed sink, plain runs, runs with a limit,
 * runs that are longer than a lease, ticks, windows whose schedule changes, runs with a rate that call a server, and a crawl of each window.
 *
 * @param pool a connection to the same database that bypasses Piko
 * @param windowsStart start of the windows of the jobs with windows
 * @param commitsOutside sabotage: write the effect outside the transaction of `ctx.commit`
 * @param everyMs          the schedule of the job whose schedule changes
 * @param server receives the id of each run of the job with a rate
 */
export function chaosJobs({
  pool,
  windowsStart,
  commitsOutside = false,
  everyMs = 1_000,
  server,
}: {
  pool: Pool
  windowsStart: string
  commitsOutside?: boolean
  everyMs?: number
  server?: Socket
}) {
  const work = (signal: AbortSignal): Promise<void> => sleep(50 + 250 * Math.random(), undefined, { signal })
  const committed = defineJob(
    { id: 'committed', every: '1s', windows: { start: windowsStart, parallel: 4 }, retry },
    async (ctx) => {
      await work(ctx.signal)
      await ctx.commit(async (trx) => {
        const values = [ctx.window.start, ctx.runId, ctx.fence] as const
        const insert = 'INSERT INTO chaos_committed (window_start, run_id, fence) VALUES (?, ?, ?)'
        if (commitsOutside) await pool.query(insert, [...values])
        else await trx.exec(insert, values)
        // Leaves time for a fault between the effect and the commit.
        await sleep(100 * Math.random())
      })
    },
  )
  const sunk = defineJob(
    { id: 'sunk', every: '1s', windows: { start: windowsStart, parallel: 4 }, sinks: { items: Items }, retry },
    async (ctx) => {
      await work(ctx.signal)
      await ctx.sinks.items.write(
        Item,
        Array.from({ length: ITEMS_A_WINDOW }, (_, item) => ({ item })),
      )
    },
  )
  const plain = defineJob({ id: 'plain', retry }, async (ctx) => {
    await work(ctx.signal)
    await pool.query('INSERT INTO chaos_plain (run_id, attempt) VALUES (?, ?)', [ctx.runId, ctx.attempt])
  })
  const limited = defineJob({ id: 'limited', concurrency: LIMIT, retry }, async (ctx) => {
    await pool.query('INSERT INTO chaos_limited (run_id, fence, started_at) VALUES (?, ?, NOW(3))', [
      ctx.runId,
      ctx.fence,
    ])
    await work(ctx.signal)
    // In the fenced transaction, so an overtaken run stores no end and its time does not count.
    await ctx.commit(async (trx) => {
      await trx.exec('UPDATE chaos_limited SET ended_at = NOW(3) WHERE run_id = ? AND fence = ?', [
        ctx.runId,
        ctx.fence,
      ])
    })
  })
  // Longer than a lease, so only a node that keeps its lease finishes it.
  const long = defineJob({ id: 'long', retry }, (ctx) => sleep(LONG_MS, undefined, { signal: ctx.signal }))
  const ticking = defineJob({ id: 'ticking', every: '500ms', misfireGraceTime: '10m', retry }, () => {})
  const changing = defineJob(
    {
      id: 'changing',
      every: `${everyMs}ms`,
      windows: { start: new Date(Date.parse(windowsStart) - PAST_MS), catchUp: 'none', parallel: 4 },
      retry,
    },
    async (ctx) => {
      const { start, end } = ctx.window
      await ctx.commit(async (trx) => {
        await trx.exec('INSERT INTO chaos_changing (window_start, window_end, fence) VALUES (?, ?, ?)', [
          start,
          end,
          ctx.fence,
        ])
      })
    },
  )
  const rated = defineJob({ id: 'rated', rate: `${RATE_LIMIT}/s`, retry }, async (ctx) => {
    // Calls immediately, because the rate does not cover waits before the call.
    await new Promise<void>((resolve, reject) => {
      server?.write(`${ctx.runId}\n`, (error) => (error ? reject(error) : resolve()))
    })
  })
  return [committed, sunk, plain, limited, long, ticking, changing, rated, crawlJob(windowsStart)]
}
