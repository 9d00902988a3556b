import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { z } from 'zod'
import type { Piko } from '../../src/app/piko.ts'
import { defineSink, ItemError } from '../../src/index.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { processName } from '../../src/operations/audit/acting.ts'
import { auditText } from '../../src/operations/audit/audit-text.ts'
import { VERBS } from '../../src/operations/audit/verbs.ts'
import type { AuditRecord } from '../../src/store/access/audit-store.ts'
import { defineShared } from '../../src/sync/index.ts'
import { recordEvents, startApp } from '../support/app.ts'
import { describeEachStore, describeSqlite } from '../support/databases.ts'
import { defineService } from '../../src/service/define-service.ts'
import { rejected, thrown } from '../support/thrown.ts'

/** Every changing verb, from the table that the app itself uses. Programs that name no actor start runs and batches without a row. */
const CHANGES = Object.entries(VERBS).flatMap(([noun, verbs]) =>
  Object.entries(verbs).flatMap(([verb, change]) => (typeof change === 'string' ? [] : [`${noun}.${verb}`])),
)

const Rates = defineShared({ topic: 'audited-rates', schema: z.number(), initial: 1 })
const Row = z.object({ id: z.number() }).meta({ id: 'AuditedRow' })
const Rows = defineSink({ name: 'rows', guarantee: 'idempotent', on: [[Row, () => {}]] })
const jobs = [
  defineJob(
    {
      id: 'sync',
      cron: '0 * * * *',
      config: z.object({ shop: z.string().default('eu'), apiKey: z.string().optional() }),
    },
    () => {
      throw new Error('the shop is closed')
    },
  ),
  defineJob(
    {
      id: 'hourly',
      cron: '0 * * * *',
      windows: { start: '2026-01-01T00:00:00Z', catchUp: 'none' },
      sinks: { rows: Rows },
    },
    // Runs until it is cancelled, so that its backfill does not end.
    (ctx) =>
      new Promise<void>((_resolve, reject) => {
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error), { once: true })
      }),
  ),
  defineJob(
    {
      id: 'pages',
      items: {
        page: {
          run: () => {
            throw new ItemError('gone', { class: 'gone' })
          },
          lane: () => 'shop.test',
          retry: { '*': 0 },
        },
      },
    },
    async (ctx) => ctx.items.add('page', ['a']),
  ),
]

interface Case {
  /** Makes the change. */
  readonly call: (app: Piko) => Promise<unknown>
  /** A call of the same verb that is refused. */
  readonly refused: (app: Piko) => Promise<unknown>
  readonly row: object
}

const NEXT = { from: '2026-01-02T00:00:00Z', to: '2026-01-02T02:00:00Z' }
const RANGE = { from: '2026-01-01T00:00:00Z', to: '2026-01-01T02:00:00Z' }
const only = async (ids: Promise<{ readonly id: number }[]>): Promise<number> => (await ids)[0]?.id ?? 0
const backfill = (app: Piko): Promise<number> => only(app.backfills.list())
const batch = (app: Piko): Promise<number> => only(app.batches.list())
const runOf = (app: Piko, jobId: string): Promise<number> => only(app.runs.list({ jobId }))

/** In this order, each with the state that the earlier ones have left. */
const CASES: Readonly<Record<string, Case>> = {
  'jobs.pause': {
    call: (app) => app.jobs.pause('sync'),
    refused: (app) => app.jobs.pause('sink'),
    row: { jobId: 'sync', before: { isPaused: false }, after: { isPaused: true } },
  },
  'jobs.resume': {
    call: (app) => app.jobs.resume('sync'),
    refused: (app) => app.jobs.resume('sink'),
    row: { jobId: 'sync', before: { isPaused: true }, after: { isPaused: false } },
  },
  'schedules.set': {
    call: (app) => app.schedules.set('sync', { kind: 'cron', cron: '0 6 * * *', timezone: 'UTC' }),
    refused: (app) => app.schedules.set('sync', { kind: 'cron', cron: 'x', timezone: 'UTC' }),
    row: { jobId: 'sync', request: expect.objectContaining({ cron: '0 6 * * *' }) as object },
  },
  'schedules.clear': {
    call: (app) => app.schedules.clear('sync'),
    refused: (app) => app.schedules.clear('sink'),
    row: { jobId: 'sync' },
  },
  'configs.set': {
    call: (app) => app.configs.set('sync', { shop: 'us', apiKey: 'hunter2' }),
    refused: (app) => app.configs.set('sync', { shop: 1 }),
    row: {
      ...{ jobId: 'sync', before: null },
      after: expect.objectContaining({ version: 1, config: { shop: 'us', apiKey: '[redacted]' } }) as object,
    },
  },
  'configs.rollback': {
    call: (app) => app.configs.rollback('sync', 1),
    refused: (app) => app.configs.rollback('sync', 9),
    row: {
      ...{ jobId: 'sync', request: 1 },
      before: expect.objectContaining({ version: 1 }) as object,
      after: expect.objectContaining({ version: 2 }) as object,
    },
  },
  'services.restart': {
    call: (app) => app.services.restart('Prices'),
    refused: (app) => app.services.restart('Price'),
    row: {
      target: 'service Prices',
      before: [expect.objectContaining({ restarts: 0 }) as object],
      after: [expect.objectContaining({ state: 'running', restarts: 1 }) as object],
    },
  },
  'nodes.set': {
    call: (app) => app.nodes.set({ log_level: 'fatal' }),
    refused: (app) => app.nodes.set({ log_level: 'loud' }),
    row: {
      target: 'all nodes',
      before: { version: 0, settings: {} },
      after: expect.objectContaining({ version: 1, settings: { log_level: 'fatal' } }) as object,
    },
  },
  'nodes.drain': {
    call: async (app) => app.nodes.drain((await app.nodes.list())[0]?.host ?? ''),
    refused: (app) => app.nodes.drain('no host'),
    row: {
      target: expect.stringContaining('node ') as string,
      after: expect.objectContaining({ settings: { drained: true } }) as object,
    },
  },
  'nodes.resume': {
    call: async (app) => app.nodes.resume((await app.nodes.list())[0]?.host ?? ''),
    refused: (app) => app.nodes.resume('no host'),
    row: { after: expect.objectContaining({ settings: {} }) as object },
  },
  'windows.rerun': {
    call: (app) => app.windows.rerun('hourly', RANGE),
    refused: (app) => app.windows.rerun('sync', RANGE),
    row: {
      jobId: 'hourly',
      target: 'backfill 1',
      before: null,
      after: expect.objectContaining({ id: 1 }) as object,
      request: RANGE,
    },
  },
  'windows.stale': {
    call: (app) => app.windows.stale('hourly', RANGE),
    refused: (app) => app.windows.stale('none', RANGE),
    row: { jobId: 'hourly', before: expect.anything() as unknown, after: expect.anything() as unknown },
  },
  'runs.replay': {
    call: async (app) => app.runs.replay(await runOf(app, 'sync')),
    refused: (app) => app.runs.replay(987_654),
    row: {
      jobId: 'sync',
      before: expect.objectContaining({ state: 'failed' }) as object,
      after: expect.objectContaining({ jobId: 'sync' }) as object,
    },
  },
  'runs.cancel': {
    call: (app) => app.runs.cancel({ jobId: 'sync' }),
    refused: (app) => app.runs.cancel({}),
    row: { jobId: 'sync', before: expect.anything() as unknown, after: expect.anything() as unknown },
  },
  'runs.prune': {
    call: (app) => app.runs.prune({ olderThan: '10d' }),
    refused: (app) => app.runs.prune({ olderThan: 'long' as '1d' }),
    row: { before: { runs: 0 }, after: { deleted: 0 }, request: { olderThan: '10d' } },
  },
  'backfills.create': {
    call: (app) => app.backfills.create('hourly', NEXT),
    refused: (app) => app.backfills.create('sync', NEXT),
    row: { jobId: 'hourly', target: 'backfill 2', before: null, after: { id: 2, jobId: 'hourly' }, request: NEXT },
  },
  'backfills.pause': {
    call: async (app) => app.backfills.pause(await backfill(app)),
    refused: (app) => app.backfills.pause(99),
    row: { jobId: 'hourly', target: 'backfill 2', after: expect.objectContaining({ id: 2 }) as object },
  },
  'backfills.resume': {
    call: async (app) => app.backfills.resume(await backfill(app)),
    refused: (app) => app.backfills.resume(99),
    row: { jobId: 'hourly', target: 'backfill 2' },
  },
  'backfills.cancel': {
    call: async (app) => app.backfills.cancel(await backfill(app)),
    refused: (app) => app.backfills.cancel(99),
    row: { jobId: 'hourly', target: 'backfill 2' },
  },
  'batches.create': {
    call: (app) => app.as({}, () => app.batches.create('sync', [{}, {}])),
    refused: (app) => app.as({}, () => app.batches.create('sink', [{}])),
    row: { jobId: 'sync', target: 'batch 1', request: { items: 2 }, before: null },
  },
  'batches.cancel': {
    call: async (app) => app.batches.cancel(await batch(app)),
    refused: (app) => app.batches.cancel(99),
    row: { jobId: 'sync', target: 'batch 1', after: expect.objectContaining({ id: 1 }) as object },
  },
  'batches.replay': {
    call: async (app) => app.batches.replay(await batch(app)),
    refused: (app) => app.batches.replay(99),
    row: { jobId: 'sync', target: 'batch 1' },
  },
  'items.pause': {
    call: (app) => app.items.pause('shop.test'),
    refused: (app) => app.items.pause('no.test'),
    row: { target: 'lane shop.test' },
  },
  'items.resume': {
    call: (app) => app.items.resume('shop.test'),
    refused: (app) => app.items.resume('no.test'),
    row: { target: 'lane shop.test' },
  },
  'items.replay': {
    call: async (app) => app.items.replay(await runOf(app, 'pages')),
    refused: (app) => app.items.replay(987_654),
    row: { jobId: 'pages', before: expect.objectContaining({ state: 'failed' }) as object, after: { items: 1 } },
  },
  'crawls.pause': {
    call: (app) => app.crawls.pause('crawl.test'),
    refused: (app) => app.crawls.pause('no.test'),
    row: { target: 'host crawl.test', after: [expect.objectContaining({ name: 'crawl.test' })] },
  },
  'crawls.resume': {
    call: (app) => app.crawls.resume('crawl.test'),
    refused: (app) => app.crawls.resume('no.test'),
    row: { target: 'host crawl.test' },
  },
  'crawls.replay': {
    call: async (app) => app.crawls.replay(await runOf(app, 'pages')),
    refused: (app) => app.crawls.replay(987_654),
    row: { jobId: 'pages' },
  },
  'limits.reset': {
    call: (app) => app.limits.reset('mail'),
    refused: (app) => app.limits.reset(''),
    row: { target: 'limit mail', before: { taken: 0 }, after: { taken: 0 } },
  },
  'sinks.replay': {
    call: (app) => app.sinks.replay({ sink: 'rows' }),
    refused: (app) => app.sinks.replay({ sink: 'row' }),
    row: { target: 'sink rows', before: { deadRows: 0 }, after: { deadRows: 0 } },
  },
  'sinks.drop': {
    call: (app) => app.sinks.drop({ sink: 'rows' }),
    refused: (app) => app.sinks.drop({}),
    row: { target: 'sink rows', before: { deadRows: 0 }, after: { deadRows: 0 } },
  },
  'shared.publish': {
    call: (app) => app.shared.publish(Rates, 3, { reason: 'sale' }),
    refused: (app) => app.shared.publish(Rates, 'x'),
    row: {
      target: 'shared value audited-rates',
      ...{ reason: 'sale', before: null, after: expect.objectContaining({ version: 2, value: 3 }) as object },
    },
  },
  'shared.rollback': {
    call: (app) => app.shared.rollback('audited-rates', 2),
    refused: (app) => app.shared.rollback('audited-rates', 99),
    row: { target: 'shared value audited-rates', after: expect.objectContaining({ version: 3 }) as object },
  },
  'cache.clear': {
    call: (app) => app.cache.clear('prices'),
    refused: (app) => app.cache.clear('a b'),
    row: { target: 'cache prices', before: expect.anything() as unknown, after: expect.anything() as unknown },
  },
  'tokens.create': {
    call: (app) => app.tokens.create({ name: 'grafana', role: 'viewer' }),
    refused: (app) => app.tokens.create({ name: 'grafana', role: 'viewer' }),
    row: {
      target: 'token grafana',
      ...{
        before: null,
        after: { id: 1, name: 'grafana', role: 'viewer' },
        request: { name: 'grafana', role: 'viewer' },
      },
    },
  },
  'tokens.revoke': {
    call: (app) => app.tokens.revoke('grafana'),
    refused: (app) => app.tokens.revoke('grafana'),
    row: {
      target: 'token grafana',
      before: expect.objectContaining({ isValid: true }) as object,
      after: expect.objectContaining({ isValid: false }) as object,
    },
  },
}

it('has a case for every changing verb', () => {
  expect(Object.keys(CASES).toSorted()).toEqual(CHANGES.toSorted())
})

it('knows every verb of docs/operations.md', () => {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const documented = new Set([...page.matchAll(/`app\.(\w+\.\w+)\(/g)].map(([, verb]) => verb))
  const known = Object.entries(VERBS).flatMap(([noun, verbs]) => Object.keys(verbs).map((verb) => `${noun}.${verb}`))
  expect(known.toSorted()).toEqual([...documented].toSorted())
})

describeEachStore((fixture) => {
  it('leaves exactly one row for each change, with who, what, before, after and why, and none for a refused one', async () => {
    await fixture.empty()
    // A run of hourly is under way at the end, and ends only when the stop gives it up.
    const settings = { piko: { log_level: 'silent', shutdown_timeout: '1s' } } as const
    const services = [defineService({ name: 'Prices' })]
    const app = await startApp(fixture.options, jobs, { settings, services })
    const recorded = recordEvents(app, 'change.recorded')
    const refusals = recordEvents(app, 'change.refused')
    await app.waitFor(await app.enqueue('sync'))
    await app.waitFor(await app.enqueue('pages'))
    await app.sql.exec("INSERT INTO piko_lane (scope, name) VALUES ('crawl', 'crawl.test')")
    expect(await app.audit.list()).toEqual([])
    const begin = (await app.live.page({ kinds: ['audit'] })).next

    for (const [index, [verb, { call, refused, row }]] of Object.entries(CASES).entries()) {
      const before = await app.audit.list({ limit: 1 })
      const isOwn = verb === 'shared.publish' || verb === 'batches.create'
      await (isOwn ? call(app) : app.as({ name: 'anna', reason: `why ${index}` }, () => call(app)))
      const rows = await app.audit.list({ limit: 2 })
      expect([verb, rows[0], rows[1]?.id]).toEqual([
        verb,
        expect.objectContaining({
          verb,
          actor: { kind: 'code', name: isOwn ? processName() : 'anna' },
          ...(!isOwn && { reason: `why ${index}` }),
          ...{ outcome: 'done', errorCode: undefined },
          ...row,
        }) as AuditRecord,
        before[0]?.id,
      ])
      expect(rows[0]?.endedAt?.getTime()).toBeGreaterThanOrEqual(rows[0]?.beganAt.getTime() ?? Infinity)
      if (verb === 'tokens.revoke') await app.sql.exec("UPDATE piko_token SET name_key = NULL WHERE name = 'grafana'")
      await rejected(refused(app))
      expect([verb, (await app.audit.list({ limit: 1 }))[0]?.id]).toEqual([verb, rows[0]?.id])
    }

    const count = Object.keys(CASES).length
    expect(await app.audit.list({ limit: 1_000 })).toHaveLength(count)
    expect(recorded.map(({ verb }) => verb)).toEqual(Object.keys(CASES))
    expect(refusals.map(({ verb }) => verb)).toEqual(Object.keys(CASES))
    // The readers of events learn of each change once, and of no refused one.
    const noticed = (await app.live.page({ kinds: ['audit'], after: begin })).items
    const rows = (await app.audit.list({ limit: count })).toReversed()
    expect(noticed.map(({ id: _id, at: _at, ...event }) => event)).toEqual(
      rows.map(({ id, verb, jobId, actor }) => ({
        ...{ kind: 'audit', auditId: id, verb, actor: actor.name },
        ...(jobId !== undefined && { jobId }),
      })),
    )
    const { body } = await app.metrics()
    for (const verb of CHANGES) {
      expect(body).toContain(`piko_change_total{verb="${verb}",outcome="done"} 1`)
      expect(body).toMatch(new RegExp(`piko_change_refused_total\\{verb="${verb}",code="[A-Z_]+"\\} 1`))
    }

    // Filters and pages.
    const page = await app.audit.list({ limit: 3 })
    const next = await app.audit.list({ limit: 3, before: page[2]?.id ?? 0 })
    expect([...page, ...next].map(({ verb }) => verb)).toEqual(Object.keys(CASES).toReversed().slice(0, 6))
    expect((await app.audit.list({ jobId: 'hourly' })).map(({ verb }) => verb.split('.')[0])).toEqual([
      ...new Array<string>(4).fill('backfills'),
      'windows',
      'windows',
    ])
    expect(await app.audit.list({ actor: processName() })).toHaveLength(2)
    expect(
      await app.audit.list({ to: page[0]?.beganAt ?? '', from: '2000-01-01T00:00:00Z', verb: 'jobs.pause' }),
    ).toHaveLength(1)
    expect(await app.audit.list({ outcome: 'unknown' })).toEqual([])
    expect(await rejected(app.audit.list({ from: 'today', job: 'x' } as never))).toMatchObject({ code: 'USAGE' })
  })

  it('records started runs for an actor only, and never a dry run or what a run does later', async () => {
    await fixture.empty()
    const inner = defineJob({ id: 'inner' }, () => 1)
    const outer = defineJob({ id: 'outer' }, async () => {
      await app.run('inner', { wait: true })
      await app.enqueue('inner')
    })
    const app = await startApp(fixture.options, [inner, outer])
    await app.run('inner', { wait: true })
    await app.enqueueMany('inner', [{}, {}])
    expect(await app.audit.list()).toEqual([])

    const ended = await app.as({ name: 'anna', reason: 'asked' }, () => app.run('outer', { priority: 3, wait: true }))
    expect(ended.state).toBe('succeeded')
    await app.as({ name: 'anna' }, () => app.enqueueMany('inner', [{}, {}]))
    await app.as({ name: 'anna' }, () => app.runs.cancel({ jobId: 'inner', dryRun: true }))
    await rejected(app.as({ name: 'anna' }, () => app.run('none')))
    const rows = await app.audit.list()
    expect(rows).toMatchObject([
      { verb: 'runs.start', jobId: 'inner', request: { runs: 2 } },
      {
        ...{ verb: 'runs.start', jobId: 'outer', actor: { kind: 'code', name: 'anna' }, reason: 'asked' },
        ...{ request: { priority: 3 }, before: null, after: { id: ended.id, jobId: 'outer' } },
      },
    ])
    expect(rows).toHaveLength(2)
    expect(thrown(() => app.as({ nam: 'anna' } as never, () => 1))).toMatchObject({ code: 'USAGE' })
  })

  it('keeps a row that says started or unknown when the end of a change is not known', async () => {
    await fixture.empty()
    const app = await startApp(fixture.options, jobs)
    const database = await fixture.open()
    const isSqlite = fixture.name === 'sqlite'
    // The change goes through, but its row can't be completed.
    const broken = "UPDATE OF outcome ON piko_audit BEGIN SELECT RAISE(ABORT, 'no audit'); END"
    await database.sql.exec(
      isSqlite
        ? `CREATE TRIGGER no_audit BEFORE ${broken}`
        : "CREATE TRIGGER no_audit BEFORE UPDATE ON piko_audit FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no audit'",
    )
    const unrecorded = recordEvents(app, 'change.unrecorded')
    await app.jobs.pause('sync')
    expect((await app.jobs.show('sync')).isPaused).toBe(true)
    expect(unrecorded).toMatchObject([{ verb: 'jobs.pause', jobId: 'sync' }])
    await database.sql.exec('DROP TRIGGER no_audit')
    expect(await app.audit.list()).toMatchObject([
      { verb: 'jobs.pause', outcome: 'started', before: { isPaused: false } },
    ])

    // The row can't be written, so the change is not made.
    const forbidden = isSqlite
      ? "CREATE TRIGGER no_audit BEFORE INSERT ON piko_audit BEGIN SELECT RAISE(ABORT, 'no audit'); END"
      : "CREATE TRIGGER no_audit BEFORE INSERT ON piko_audit FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no audit'"
    await database.sql.exec(forbidden)
    expect(await rejected(app.jobs.resume('sync'))).toMatchObject({ code: 'CHANGE_REFUSED' })
    await database.sql.exec('DROP TRIGGER no_audit')
    expect((await app.jobs.show('sync')).isPaused).toBe(true)

    // The change fails with an error that does not say that nothing was changed.
    await database.sql.exec(
      isSqlite
        ? "CREATE TRIGGER no_pause BEFORE UPDATE OF is_paused ON piko_job BEGIN SELECT RAISE(ABORT, 'no pause'); END"
        : "CREATE TRIGGER no_pause BEFORE UPDATE ON piko_job FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no pause'",
    )
    expect(await rejected(app.jobs.resume('sync'))).toMatchObject({ code: 'CHANGE_REFUSED' })
    await database.sql.exec('DROP TRIGGER no_pause')
    expect(await app.audit.list()).toHaveLength(1)
  })

  it('deletes old rows of the audit and expired sessions', async () => {
    await fixture.empty()
    const now = Date.UTC(2026, 5, 1)
    let ms = now
    const { store } = await import('../../src/store/store.ts').then(async ({ storeOn }) => ({
      store: storeOn(await fixture.open({ clock: { now: () => ms } })),
    }))
    const about = { verb: 'jobs.pause', actor: { kind: 'cli', name: 'anna' }, jobId: 'sync' } as const
    const rest = { target: undefined, reason: undefined, request: undefined, before: undefined }
    await store.audit.begin({ ...about, ...rest })
    await store.tokens.openSession('a'.repeat(64), 'b'.repeat(64), 1_000)
    ms += 2_000
    await store.audit.begin({ ...about, ...rest })
    expect(await store.tokens.sessionToken('a'.repeat(64))).toBeUndefined()
    expect([await store.audit.prune(2_000), await store.tokens.prune()]).toEqual([false, false])
    expect(await store.audit.list()).toHaveLength(1)
    const { db } = await fixture.open()
    expect(await db.selectFrom('piko_session').selectAll().execute()).toEqual([])
  })
})

describeSqlite((fixture) => {
  it('refuses a change inside a transaction of SQLite, which would wait for itself', async () => {
    await fixture.empty()
    const app = await startApp(fixture.options, jobs)
    const error = await rejected(app.sql.transaction(async () => app.jobs.pause('sync')))
    expect(error).toMatchObject({ code: 'USAGE' })
    expect(await app.audit.list()).toEqual([])
  })
})

it('keeps secrets, endless lists and unreadable values out of the audit', () => {
  expect(auditText({ password: 'hunter2', dsn: 'mysql://root:hunter2@db/x', note: 'token=abcdef' })).not.toMatch(
    /hunter2|abcdef/,
  )
  expect(auditText(undefined)).toBeUndefined()
  const long = auditText(Array.from({ length: 100_000 }, (_, index) => ({ index, text: 'x'.repeat(5_000) }))) ?? ''
  expect(Buffer.byteLength(long)).toBeLessThan(30_001)
  expect(() => JSON.parse(long) as unknown).not.toThrow()
  const odd = {
    get thrower(): never {
      throw new Error('no')
    },
  }
  expect(auditText(odd)).toBe('"[unreadable]"')
  const ring: Record<string, unknown> = {}
  ring['ring'] = ring
  expect(
    () => JSON.parse(auditText({ ring, at: new Date(0), signal: new AbortController().signal }) ?? '') as unknown,
  ).not.toThrow()
})
