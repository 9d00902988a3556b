import { beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { Database } from '../../src/store/connection/database.ts'
import type { SqlValue } from '../../src/sql/sql.ts'
import { eventually, startApp } from '../support/app.ts'
import { sinkScope } from '../sink/sink-scope.ts'
import { describeEachStore } from '../support/databases.ts'
import { packageVersion } from '../../src/package-version.ts'

const Order = z.object({ id: z.number(), total: z.number() })
const table = sqlTable<z.output<typeof Order>>({
  ...{ name: 'proof_orders', columns: ['id', 'total'], key: ['id'], fenceColumn: 'fence', checksum: true },
})
const OrdersSink = defineSink({ name: 'orders', on: [[Order, (rows, batch) => table.replace(batch, rows)]] })
const START = Date.parse('2025-01-01T00:00:00Z')
const HOUR_MS = 3_600_000
const HOURS = 12
const ROWS = 10
const hour = (index: number): Date => new Date(START + index * HOUR_MS)

describeEachStore((fixture) => {
  let database: Database
  let app: Piko

  const exec = (text: string, params: readonly SqlValue[] = []) => database.sql.exec(text, params)

  /** A day of hours with ten rows each, all of them proved. */
  beforeEach(async () => {
    database ??= await fixture.open()
    await fixture.empty()
    await exec('DROP TABLE IF EXISTS proof_orders')
    const instant = fixture.name === 'mysql' ? 'DATETIME(3)' : 'TEXT'
    await exec(`CREATE TABLE proof_orders (id INT, total INT, window_start ${instant} NOT NULL, fence BIGINT NOT NULL)`)
    await exec('CREATE INDEX proof_orders_fence ON proof_orders (window_start, fence)')
    app = await startApp(fixture.options, [
      defineJob(
        {
          id: 'sync',
          cron: '0 * * * *',
          windows: { start: hour(0), end: hour(HOURS), parallel: HOURS },
          sinks: { orders: OrdersSink },
        },
        async ({ window, sinks }) => {
          const first = ((window.start.getTime() - START) / HOUR_MS) * ROWS
          for (let id = first; id < first + ROWS; id++) await sinks.orders.write(Order, { id, total: id * 2 })
        },
      ),
    ])
    await eventually(async () => expect((await app.windows.summary('sync')).counts.succeeded).toBe(HOURS))
  })

  const prove = async () => {
    const { findings, ...certificate } = await app.windows.prove('sync')
    expect(certificate.findingsTotal).toBe(findings.length)
    expect(certificate.isProved).toBe(findings.length === 0)
    return { findings, certificate }
  }
  /** Everything that a proof found: its kind, its hour, the keys of its rows, and the repair. */
  const found = async () =>
    (await prove()).findings.map(({ kind, window, table: name, rows, repair }) => ({
      ...{ kind, repair, rows },
      hour: window && (window.start.getTime() - START) / HOUR_MS,
      isTable: name === 'proof_orders',
    }))
  const again = (index: number): string => {
    const text = (at: number): string => (at === 0 ? '2025-01-01' : hour(at).toISOString().replace('.000Z', 'Z'))
    return `piko backfills create sync --from ${text(index)} --to ${text(index + 1)}`
  }
  const rowOf = async (index: number) =>
    (
      await database.sql.query<{ id: number; run_id: number; fence: number }>(
        'SELECT id, run_id, fence FROM piko_window WHERE job_id = ? AND start_at = ?',
        ['sync', hour(index)],
      )
    )[0]!

  it('proves a ledger whose rows are those that its claims wrote, with a certificate', async () => {
    const { findings, certificate } = await prove()
    expect(findings).toEqual([])
    expect(certificate).toMatchObject({
      ...{ kind: 'piko.proof', version: 1, versions: { piko: packageVersion(), schema: expect.any(Number) as number } },
      ...{ jobId: 'sync', from: hour(0), to: hour(HOURS), isProved: true },
      ...{ windows: { succeeded: HOURS, failed: 0 }, unverified: 0, unrun: [], generations: 1 },
      tables: [{ name: 'proof_orders', isRead: true, rows: HOURS * ROWS, unrecorded: 0 }],
    })
    expect((await prove()).certificate.digest).toBe(certificate.digest)
    // A part of the range is proved by itself, and a window that runs again keeps the proof.
    await app.run('sync', { window: hour(3), wait: true })
    const part = await app.windows.prove('sync', { from: hour(2), to: hour(5) })
    expect(part).toMatchObject({ isProved: true, windows: { succeeded: 3 }, tables: [{ rows: 3 * ROWS }] })
    expect(part.digest).not.toBe(certificate.digest)
    // Runs that the retention has deleted can't be compared, and are no fault.
    await exec('DELETE FROM piko_run')
    expect((await prove()).certificate).toMatchObject({ isProved: true, unverified: HOURS })
    await expect(app.windows.prove('nobody')).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
    await expect(app.windows.prove('sync', { from: hour(5), to: hour(2) })).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('names a row that was deleted, doubled, or written with a stale fence, and nothing else', async () => {
    await exec('DELETE FROM proof_orders WHERE id = 14')
    expect(await found()).toEqual([
      { kind: 'missing', hour: 1, isTable: true, rows: [], repair: `${again(1)} --only all` },
    ])
    await exec('INSERT INTO proof_orders SELECT * FROM proof_orders WHERE id = 27')
    const { fence } = await rowOf(4)
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (999, 1, ?, ?)', [hour(4), fence - 1])
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (998, 1, ?, ?)', [
      hour(5),
      fence + 65_536_000,
    ])
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (997, 1, ?, ?)', [
      hour(6),
      (await rowOf(6)).fence,
    ])
    const half = new Date(hour(7).getTime() + HOUR_MS / 2)
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (996, 1, ?, ?)', [half, fence])
    const far = new Date('1990-01-01T00:00:00Z')
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (995, 1, ?, ?)', [far, fence])
    const text = (at: Date): string =>
      fixture.name === 'mysql' ? at.toISOString().slice(0, 23).replace('T', ' ') : at.toISOString()
    expect(await found()).toEqual([
      { kind: 'missing', hour: 1, isTable: true, rows: [], repair: `${again(1)} --only all` },
      { kind: 'doubled', hour: 2, isTable: true, rows: [{ id: 27 }], repair: `${again(2)} --only all` },
      { kind: 'foreign', hour: 4, isTable: true, rows: [{ id: 999 }], repair: `${again(4)} --only all` },
      {
        ...{ kind: 'foreign', hour: 5, isTable: true, rows: [{ id: 998 }] },
        repair: `DELETE FROM proof_orders WHERE window_start = '${text(hour(5))}' AND fence = ${fence + 65_536_000}`,
      },
      { kind: 'late', hour: 6, isTable: true, rows: [], repair: `${again(6)} --only all` },
      {
        ...{ kind: 'foreign', hour: (far.getTime() - START) / HOUR_MS, isTable: true, rows: [{ id: 995 }] },
        repair: `DELETE FROM proof_orders WHERE window_start = '${text(far)}' AND fence = ${fence}`,
      },
      {
        ...{ kind: 'foreign', hour: 7.5, isTable: true, rows: [{ id: 996 }] },
        repair: `DELETE FROM proof_orders WHERE window_start = '${text(half)}' AND fence = ${fence}`,
      },
    ])
    // The repairs repair.
    for (const { kind, repair, window } of (await prove()).findings) {
      if (repair.startsWith('DELETE')) await exec(repair)
      else await (await app.backfills.create('sync', { from: window!.start, to: window!.end, only: 'all' })).wait()
      expect(kind).not.toBe('gap')
    }
    expect(await found()).toEqual([])
  })

  it.each([
    ['end_at', (index: number): SqlValue => new Date(hour(index).getTime() + 90 * 60_000)],
    ['start_at', (index: number): SqlValue => new Date(hour(index).getTime() + 10 * 60_000)],
    ['start_at', (): SqlValue => new Date('2025-01-01T11:59:00Z')],
    ['state', (): SqlValue => 'failed'],
    ['fence', (): SqlValue => 7],
  ])('names a window whose %s was edited, and the statement that restores it', async (column, value) => {
    const { id, fence } = await rowOf(3)
    await exec(`UPDATE piko_window SET ${column} = ? WHERE id = ?`, [value(3), id])
    const { findings } = await prove()
    expect(findings).toMatchObject([{ kind: 'edited', window: { start: hour(3), end: hour(4) } }])
    expect(findings[0]?.message).toContain(`(row ${id} of piko_window) was changed: `)
    await exec(findings[0]?.repair ?? '')
    expect((await rowOf(3)).fence).toBe(fence)
    expect(await found()).toEqual([])
  })

  it('names a window that was added on the time of another, deleted, or has no claim', async () => {
    const add = async (
      from: number,
      to: number,
      state = 'succeeded',
      runId: number | null = null,
      fence: number | null = null,
    ) =>
      exec(
        'INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, fence, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [...['sync', hour(from), hour(to), state, runId, fence, hour(0)]],
      )
    const overlaps = async () =>
      (await found()).map(({ kind, hour: at, repair }) => [kind, at, repair.replace(/\d+$/, 'N')])
    const remove = 'DELETE FROM piko_window WHERE id = N'
    await add(2.5, 3.5)
    expect(await overlaps()).toEqual([['overlap', 2.5, remove]])
    const { run_id, fence } = await rowOf(6)
    // A copy of another window's claim, and windows that never ran.
    await add(6.25, 6.5, 'succeeded', run_id, fence)
    await add(8.5, 9.5, 'skipped')
    expect(await overlaps()).toEqual([
      ['overlap', 2.5, remove],
      ['overlap', 6.25, remove],
      ['overlap', 8.5, remove],
    ])
    for (const { repair } of (await prove()).findings) await exec(repair)
    expect(await found()).toEqual([])

    await exec('DELETE FROM piko_window WHERE start_at = ?', [hour(4)])
    await exec('UPDATE piko_window SET run_id = NULL, fence = NULL WHERE start_at = ?', [hour(9)])
    const { findings } = await prove()
    expect(findings.map(({ kind, window, repair }) => [kind, window?.start, repair])).toEqual([
      ['edited', hour(9), `${again(9)} --only all`],
      ['gap', hour(4), again(4)],
    ])
    expect(findings[1]?.message).toContain('10 rows are stored for it')
  })

  it('names a window with as many rows as were recorded, whose contents were changed', async () => {
    await exec('UPDATE proof_orders SET total = total + 1 WHERE id = 33')
    expect(await found()).toEqual([
      { kind: 'changed', hour: 3, isTable: true, rows: [], repair: `${again(3)} --only all` },
    ])
    await exec('UPDATE proof_orders SET total = NULL WHERE id = 33')
    expect(await found()).toMatchObject([{ kind: 'changed' }])
    await exec('UPDATE proof_orders SET total = 66 WHERE id = 33')
    expect(await found()).toEqual([])
    // One row is deleted and another is doubled, so that their number stays the same.
    await exec('UPDATE proof_orders SET id = 34, total = 68 WHERE id = 33')
    expect(await found()).toMatchObject([{ kind: 'changed', hour: 3 }])
  })

  it('continues when a table is gone, and names it', async () => {
    await exec('DROP TABLE proof_orders')
    const { findings } = await prove()
    expect(findings).toMatchObject([{ kind: 'missing', table: 'proof_orders', window: undefined }])
    expect(findings[0]?.message).toContain("table proof_orders can't be read: ")
  })

  it('counts the rows that a disk delivered after the end of their window, and no others', async () => {
    const { fence, run_id } = await rowOf(4)
    const window = { start: hour(4), end: hour(5) }
    const scope = sinkScope({ sql: database.sql, jobId: 'sync', runId: run_id, fence, window })
    const late = { ...scope, index: 7, key: `sync/${hour(4).toISOString()}/orders/7`, sink: 'orders' }
    for (let time = 0; time < 2; time++) await table.replace(late, [{ id: 700, total: 1 }])
    // A window whose rows were all on the disk has no recorded number.
    await exec('DELETE FROM piko_window_rows WHERE start_at = ?', [hour(5)])
    expect(await prove()).toMatchObject({
      findings: [],
      certificate: { tables: [{ rows: HOURS * ROWS + 1, unrecorded: 0 }] },
    })
    await exec('DELETE FROM proof_orders WHERE id = 50')
    await exec('INSERT INTO proof_orders (id, total, window_start, fence) VALUES (701, 2, ?, ?)', [hour(4), fence])
    expect((await found()).map(({ kind, hour: at }) => [kind, at])).toEqual([
      ['late', 4],
      ['missing', 5],
    ])
  })

  it('names a table that it can not prove', async () => {
    const Merged = defineSink({
      name: 'merged',
      open: (env) => merged.open(env, { create: true }),
      on: [[Order, (rows, batch) => merged.merge(batch, rows)]],
    })
    const merged = sqlTable({ name: 'proof_merged', model: Order, key: ['id'], fenceColumn: 'fence' })
    const windows = { start: hour(0), end: hour(1), catchUp: 'none' } as const
    const merging = defineJob(
      { id: 'merging', cron: '0 * * * *', windows, sinks: { merged: Merged } },
      async ({ sinks }) => sinks.merged.write(Order, { id: 1, total: 1 }),
    )
    const other = await startApp(fixture.options, [merging])
    await other.run('merging', { window: hour(0), wait: true })
    expect(await other.windows.prove('merging')).toMatchObject({
      isProved: true,
      tables: [{ name: 'proof_merged', isRead: false, notProved: 'merge', rows: 0 }],
    })
  })

  it('names time that windows.start has left out, and a repair that works, only if asked for this time', async () => {
    const jumping = (from: number, to: number) => {
      const windows = { start: hour(from), end: hour(to), catchUp: 'all' } as const
      return startApp(fixture.options, [defineJob({ id: 'jumping', cron: '0 * * * *', windows }, () => undefined)])
    }
    const ended = (other: Piko, count: number) =>
      eventually(async () => expect((await other.windows.summary('jumping')).counts.succeeded).toBe(count))
    await app.stop()
    const first = await jumping(0, 2)
    await ended(first, 2)
    await first.stop()
    const second = await jumping(5, 7)
    await ended(second, 4)
    const gap = { start: hour(2), end: hour(5) }
    expect(await second.windows.prove('jumping')).toMatchObject({ isProved: true, findings: [], unrun: [gap] })
    const { findings } = await second.windows.prove('jumping', { from: hour(0) })
    const earlier = 'set windows.start of job "jumping" to 2025-01-01T02:00:00Z or earlier, start a node, then piko '
    expect(findings).toMatchObject([{ kind: 'gap', window: gap, repair: expect.stringContaining(earlier) as string }])
    const range = { from: gap.start, to: gap.end }
    await expect(second.backfills.create('jumping', range)).rejects.toMatchObject({ code: 'WINDOW_UNKNOWN' })
    await second.stop()
    const third = await jumping(2, 7)
    await (await third.backfills.create('jumping', range)).wait()
    expect(await third.windows.prove('jumping', { from: hour(0) })).toMatchObject({ isProved: true, unrun: [] })
    await third.stop()
  })
})
