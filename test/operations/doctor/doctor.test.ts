import { createConnection } from 'mysql2/promise'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob, type Finding } from '../../../src/index.ts'
import { examine } from '../../../src/operations/doctor/gatherers.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { openDatabase } from '../../../src/store/connection/database.ts'
import { migrate } from '../../../src/store/migration/migrate.ts'
import { databaseOptions } from '../../../src/store/open-store.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { eventually, startApp, storeSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { startMysqlServer } from '../../support/mysql-server.ts'
import { poison } from '../../support/poison.ts'

const factsJson = (version: string): string =>
  JSON.stringify({ version, slots: 1, jobs: 1, jobIds: [], load: { cpu: 0, memory: 0 } })

const MINUTE = 60_000
const DAY = 86_400_000

/** Plants rows as a crash, a forgotten deploy and a careless person leave them. Instants are `ms` milliseconds from now. */
class Planted {
  readonly #database: Database
  readonly #now = Date.now()

  constructor(database: Database) {
    this.#database = database
  }

  at(ms: number): Date | string {
    return this.#database.dialect.instant(new Date(this.#now + ms))
  }

  async node(id: number, row: { jobs?: object; version?: string; host?: string; expires?: number; started?: number }) {
    const { jobs, version = '1.0.0', host = `host-${id}`, expires = DAY / 24, started = -60 * MINUTE } = row
    await this.#database.db
      .insertInto('piko_node')
      .values({
        ...{ id: `00000000-0000-4000-8000-00000000000${id}`, host, pid: 100 + id, facts: factsJson(version) },
        jobs: JSON.stringify(jobs ?? { known: 'aaa' }),
        ...{ started_at: this.at(started), heartbeat_at: this.at(expires - MINUTE), expires_at: this.at(expires) },
      })
      .execute()
  }

  async job(id: string): Promise<void> {
    const [at, schedule] = [this.at(DAY), '{"kind":"every","everyMs":60000}']
    const same = { schedule, code_schedule: schedule, planned_schedule: schedule, next_tick: at, plan_at: at }
    await this.#database.db
      .insertInto('piko_job')
      .values({ id, ...same, created_at: this.at(-DAY), updated_at: this.at(-DAY) })
      .execute()
  }

  async run(row: {
    id: number
    job: string
    state: 'queued' | 'running' | 'succeeded'
    node?: number
    ms: number
    cancelledMs?: number
  }) {
    const { id, job, state, node, ms, cancelledMs } = row
    await this.#database.db
      .insertInto('piko_run')
      .values({
        ...{ id, job_id: job, state, kind: 'manual', priority: 0, run_at: this.at(ms), created_at: this.at(ms) },
        node_id: node === undefined ? null : `00000000-0000-4000-8000-00000000000${node}`,
        started_at: state === 'queued' ? null : this.at(ms),
        finished_at: state === 'succeeded' ? this.at(ms) : null,
        cancel_requested_at: cancelledMs === undefined ? null : this.at(cancelledMs),
        claims: 1,
      })
      .execute()
  }
}

const ids = (findings: readonly Finding[]): string[] => [...new Set(findings.map(({ id }) => id))].sort()

describeEachStore((store) => {
  it('finds nothing on a healthy installation, whether asked from a node or from outside', async () => {
    const app = await startApp(store.options, [
      defineJob(
        { id: 'hourly', cron: '0 * * * *', windows: { start: '2026-01-01T00:00:00Z', catchUp: 'none' } },
        () => {},
      ),
      defineJob({ id: 'by-hand' }, () => 1),
    ])
    await app.run('by-hand', { wait: true })
    await eventually(() => expect(app.leader.isLeader).toBe(true))
    const { isHealthy, findings, checks, settings } = await app.doctor()
    expect(findings).toEqual([])
    expect(isHealthy).toBe(true)
    expect(checks.filter(({ state }) => state !== 'passed')).toEqual([])
    expect(settings.find(({ key }) => key === 'piko.log_level')).toMatchObject({
      value: '"silent"',
      origin: 'override',
    })
    expect(settings.find(({ key }) => key === 'piko.name')).toMatchObject({ origin: 'default' })
    expect(JSON.stringify(settings)).not.toContain(store.options.mysql?.password ?? 'a password')

    const outside = await examine({ overrides: storeSettings(store.options) })
    expect(outside).toMatchObject({ isHealthy: true, findings: [] })
  })

  it('finds planted faults of the schema, the fleet, the runs and the rows, and names the remedy of each', async () => {
    const database = await store.open()
    await store.empty()
    const planted = new Planted(database)
    const exec = (sql: string) => database.sql.exec(sql)
    await planted.node(1, { jobs: { known: 'aaa', other: 'x' }, started: -3 * DAY })
    await planted.node(2, { jobs: { known: 'bbb' }, version: '0.9.0' })
    await planted.node(3, { host: 'dead-host', expires: -10 * MINUTE })
    await planted.job('known')
    await planted.job('removed')
    await planted.job('edited')
    await planted.run({ id: 1_001, job: 'known', state: 'running', node: 9, ms: -60 * MINUTE })
    await planted.run({
      id: 1_002,
      job: 'known',
      state: 'running',
      node: 1,
      ms: -20 * MINUTE,
      cancelledMs: -10 * MINUTE,
    })
    await planted.run({ id: 1_003, job: 'known', state: 'running', node: 1, ms: -2 * DAY })
    await planted.run({ id: 1_004, job: 'known', state: 'queued', ms: -60 * MINUTE })
    await planted.run({ id: 1_005, job: 'forgotten', state: 'queued', ms: DAY })
    for (let id = 1; id <= 25; id++) await planted.run({ id, job: 'known', state: 'succeeded', ms: -400 * DAY })
    await exec(store.name === 'mysql' ? 'ALTER TABLE piko_run_log DROP KEY run_log_run' : 'DROP INDEX run_log_run')
    await exec(
      store.name === 'mysql'
        ? 'CREATE TRIGGER nosy AFTER INSERT ON piko_audit FOR EACH ROW SET @seen = 1'
        : 'CREATE TRIGGER nosy AFTER INSERT ON piko_audit BEGIN SELECT 1; END',
    )
    await poison(store, database, 'piko_job', "id = 'edited'", { column: 'windows', value: '{odd' })

    const report = await examine({ overrides: storeSettings(store.options) })
    const remedies: Readonly<Record<string, RegExp>> = {
      'schema.index':
        store.name === 'mysql' ? /^ALTER TABLE piko_run_log ADD KEY run_log_run/ : /^CREATE INDEX run_log_run/,
      'schema.trigger': /^DROP TRIGGER nosy$/,
      'fleet.leader': /piko start/,
      'fleet.dead': /piko nodes list/,
      'code.version': /npm install piko/,
      'code.jobs': /deploy the same code/,
      'unknown-jobs.scheduled': /piko jobs pause edited; piko jobs pause removed/,
      'unknown-jobs.queued': /piko runs cancel --job forgotten/,
      'stuck-runs.orphan': /piko start/,
      'stuck-runs.cancelled': /piko runs show 1002/,
      'stuck-runs.long': /piko runs cancel 1003/,
      queue: /piko why known/,
      history: /piko runs prune/,
      'poison-rows': /^UPDATE piko_job SET windows = .* WHERE id = 'edited'$/,
      // Without its index, SQLite reads the whole table. MySQL does so only if the table is large.
      ...(store.name === 'sqlite' && { 'indexes.unused': /^ANALYZE piko_run_log$/ }),
    }
    expect(ids(report.findings)).toEqual(Object.keys(remedies).sort())
    for (const { id, found, remedy } of report.findings) {
      expect(remedy, id).toMatch(remedies[id] ?? /never/)
      expect(found, id).not.toBe('')
    }
    expect(report.findings.find(({ id }) => id === 'stuck-runs.orphan')?.found).toContain('known 1001')
    expect(report.findings.find(({ id }) => id === 'fleet.dead')?.found).toContain('dead-host 103')
    expect(report.isHealthy).toBe(false)

    // The statements among the remedies mend what they name.
    const statements = ['schema.index', 'schema.trigger', 'poison-rows']
    for (const { id, remedy } of report.findings) if (statements.includes(id)) await exec(remedy)
    const after = await examine({ overrides: storeSettings(store.options) })
    expect(ids(after.findings).filter((id) => /schema|poison|indexes/.test(id))).toEqual([])
  })
})

it('finds the planted faults of a server, its privileges and its clock, and the remedies mend them', async () => {
  const server = await startMysqlServer({
    ...{ binlog: true, maxPacket: '1M', redoLog: '8M' },
    args: ['--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0', '--max-connections=30'],
  })
  onTestFinished(() => server.stop())
  const root = await createConnection(server.dsn)
  onTestFinished(() => root.end())
  await root.query('CREATE DATABASE ops')
  const dsn = `${server.dsn}/ops`
  const database = await openDatabase(
    databaseOptions(loadSettings({ env: {}, overrides: { mysql: { dsn } } }).settings),
  )
  await migrate(database, { direction: 'up' })
  const planted = new Planted(database)
  for (const id of [1, 2, 3]) await planted.node(id, { started: -1_000 })
  await database.sql.exec('ALTER TABLE piko_batch_slice ENGINE = MyISAM')
  await database.close()
  const isMaria =
    (await root.query<never[]>("SHOW VARIABLES LIKE 'version_comment'"))[0].length > 0 &&
    /maria/i.test(JSON.stringify((await root.query('SELECT VERSION() AS v'))[0]))
  await root.query(`ALTER TABLE ops.piko_window ALTER INDEX window_state ${isMaria ? 'IGNORED' : 'INVISIBLE'}`)
  await root.query("CREATE USER poor@'%' IDENTIFIED BY 'secret'")
  await root.query("GRANT SELECT, INSERT, UPDATE ON ops.* TO poor@'%'")
  for (const set of ["binlog_format = 'STATEMENT'", 'read_only = ON']) await root.query(`SET GLOBAL ${set}`)

  const overrides = {
    mysql: { dsn: dsn.replace(/\/\/[^@]*@/, '//poor:secret@') },
    piko: { max_block: '0s', concurrency: 500 },
  }
  const look = (now = () => Date.now()) => examine({ env: {}, overrides }, { now })
  const { findings } = await look(() => Date.now() - 90_000)
  const remedies: Readonly<Record<string, RegExp>> = {
    'settings.risk': /^\[piko\]\nmax_block = "1m"$/,
    'packet-size': /^SET GLOBAL max_allowed_packet = 67108864/,
    'redo-log': /innodb_(?:log_file_size|redo_log_capacity)/,
    'durability.commit': /^SET GLOBAL innodb_flush_log_at_trx_commit = 1/,
    'durability.binlog': /^SET GLOBAL sync_binlog = 1/,
    'binary-log': /^SET GLOBAL binlog_format = 'ROW'/,
    'read-only': /SET GLOBAL read_only = OFF/,
    'rights.daily': /^GRANT DELETE ON `ops`\.\* TO 'poor'@'%'$/,
    'rights.migrate':
      /^GRANT CREATE, ALTER, INDEX, DROP ON `ops`\.\* TO 'poor'@'%'; or set \[piko\] auto_migrate = false/,
    'schema.engine': /^ALTER TABLE piko_batch_slice ENGINE = InnoDB$/,
    'indexes.hidden': /^ALTER TABLE piko_window ALTER INDEX window_state (?:NOT IGNORED|VISIBLE)$/,
    clock: /timedatectl/,
    'pools.server': /^SET GLOBAL max_connections = \d+/,
    'pools.node': /^\[mysql\]\npool_size = 25$/,
  }
  expect(ids(findings)).toEqual(Object.keys(remedies).sort())
  for (const { id, remedy } of findings) expect(remedy, id).toMatch(remedies[id] ?? /never/)
  expect(findings.find(({ id }) => id === 'clock')?.found).toContain('90 s ahead of')

  // Everything that a statement can mend, with the statements as they are printed.
  await root.query('USE ops')
  const byStatement = /^(?:packet-size|durability|binary-log|read-only|rights|schema|indexes|pools\.server)/
  for (const { id, remedy } of findings.toReversed()) {
    if (byStatement.test(id)) await root.query((/(?:SET|GRANT|ALTER)[^;]*/.exec(remedy) ?? [''])[0])
  }
  const after = await look()
  expect(ids(after.findings)).toEqual(['pools.node', 'redo-log', 'settings.risk'])
})
