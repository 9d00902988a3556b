import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { eventually, recordEvents } from '../support/app.ts'
import { type MysqlServer, startMysqlServer } from '../support/mysql-server.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { rejected } from '../support/thrown.ts'

let server: MysqlServer

beforeAll(async () => {
  server = await startMysqlServer({ args: [] })
})
afterAll(() => server?.stop())

async function ask(statements: readonly string[]): Promise<void> {
  const connection = await createConnection(server.dsn)
  for (const statement of statements) await connection.query(statement)
  await connection.end()
}

function appOn(dsn: string, more: { readonly auto_migrate?: boolean; readonly lease?: string } = {}): Piko {
  const job = defineJob({ id: 'job', every: '1d' }, (ctx) => ctx.input)
  const app = new Piko({
    jobs: [job],
    settings: { mysql: { dsn }, piko: { log_level: 'silent', lease: '10s', ...more } },
  })
  onTestFinished(() => app.stop())
  return app
}

/**
 * A new user of a new database with its schema. The user has rights only on each table, which the server checks for
 * each statement.
 */
async function dsnOf(user: string, database: string): Promise<string> {
  await ask([`CREATE DATABASE ${database}`, `CREATE USER ${user}@'%' IDENTIFIED BY 'pw'`])
  const rich = appOn(`${server.dsn}/${database}`)
  await rich.start()
  const tables = await rich.sql.query<{ name: string }>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ?',
    [database],
  )
  await rich.stop()
  await ask(tables.map(({ name }) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.${name} TO ${user}@'%'`))
  return `${server.dsn.replace(/\/\/[^@]+@/, `//${user}:pw@`)}/${database}`
}

describe('a server with hostile defaults', () => {
  it.each<[string, string, string]>([
    ['sql_safe_updates', '1', '0'],
    ['autocommit', '0', '1'],
    ['completion_type', '1', '0'],
    ['sql_mode', "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT'", "''"],
    ['tx_read_only', '1', '0'],
    ['tx_isolation', "'SERIALIZABLE'", "'REPEATABLE-READ'"],
    ['default_storage_engine', "'MyISAM'", "'InnoDB'"],
    ['sql_select_limit', '1', '18446744073709551615'],
    ['lock_wait_timeout', '0', '86400'],
    ['max_statement_time', '0.000001', '0'],
    ['time_zone', "'+05:30'", "'SYSTEM'"],
    ['init_connect', "'SET NAMES latin1, sql_auto_is_null = 1'", "''"],
    ['foreign_key_checks', '0', '1'],
    ['innodb_lock_wait_timeout', '1', '50'],
  ])('%s = %s: migrates, runs a job and keeps its lease', async (name, value, normal) => {
    const database = `hostile_${name}`
    await ask([`CREATE DATABASE ${database}`])
    // The server ignores `init_connect` for users with all rights.
    await ask([
      `CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'pw'`,
      `GRANT ALL ON ${database}.* TO plain@'%'`,
      `SET GLOBAL ${name} = ${value}`,
    ])
    try {
      const app = appOn(`${server.dsn.replace(/\/\/[^@]+@/, '//plain:pw@')}/${database}`)
      const lost = recordEvents(app, 'node.lost')
      await app.start()
      const input = `it's "quoted" \\ Grüße 😀`
      expect(await app.run('job', { input, wait: true })).toMatchObject({ state: 'succeeded', output: input })
      const ids = await app.enqueueMany('job', [{ input: 1 }, { input: 2 }, { input: 3 }])
      for (const id of ids) expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
      expect(lost).toEqual([])
      await app.stop()
    } finally {
      // The session that resets the value starts with the hostile one.
      const connection = await createConnection(server.dsn)
      await connection.query(`SET GLOBAL ${name} = ${normal}`).finally(() => connection.destroy())
    }
  })
})

describe('a database user who loses a privilege at work', () => {
  it.each([
    ['SELECT', 'piko_run', (app: Piko) => app.runs.list({})],
    ['INSERT', 'piko_run', (app: Piko) => app.enqueue('job')],
    ['UPDATE', 'piko_run', (app: Piko) => app.sql.exec('UPDATE piko_run SET priority = 1')],
    ['DELETE', 'piko_run', (app: Piko) => app.sql.transaction((trx) => trx.exec('DELETE FROM piko_run'))],
  ])(
    '%s: gets the GRANT to execute, and continues once it is granted',
    async (right, table, work) => {
      const database = `work_${right.toLowerCase()}`
      const user = `worker_${right.toLowerCase()}`
      const app = appOn(await dsnOf(user, database))
      await app.start()
      await ask([`REVOKE ${right} ON ${database}.${table} FROM ${user}@'%'`])
      const error = await rejected(work(app))
      expect(error).toMatchObject({ code: 'DATABASE_DENIED', details: { database } })
      expect(error.message).toMatch(new RegExp(`${right}.* command denied to user .*${table}`))
      expect(error.message).toMatch(
        new RegExp(`grant it: GRANT [A-Z, ]*${right}[A-Z, ]* ON \`${database}\`\\.\\* TO '${user}'@'`),
      )
      const [, grant = ''] = /grant it: (GRANT .*?);/.exec(error.message) ?? []
      // The error names the host that the user came from, but the account has another host.
      await ask([grant.replace(/@'[^']*'$/, "@'%'")])
      // Each refused connection is replaced by one with the new right.
      await eventually(async () => {
        await work(app)
      }, PATIENCE_MS)
      await eventually(async () => {
        expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded' })
      }, PATIENCE_MS)
    },
    300_000,
  )
})

describe('a database user who loses the privilege to renew a lease', () => {
  it('gets the GRANT from the heartbeat, and continues once it is granted', async () => {
    const [database, user] = ['work_lease', 'worker_lease']
    const app = appOn(await dsnOf(user, database), { lease: '3s' })
    const failures = recordEvents(app, 'loop.failed')
    await app.start()
    await ask([`REVOKE UPDATE ON ${database}.piko_node FROM ${user}@'%'`])
    const told = (): Error | undefined => failures.find(({ loop }) => loop === 'heartbeat')?.error
    await eventually(() => expect(told()).toBeDefined())
    expect(told()).toMatchObject({ code: 'DATABASE_DENIED', details: { database, right: 'UPDATE' } })
    expect(told()?.message).toContain(`grant it: GRANT UPDATE ON \`${database}\`.* TO '${user}'@`)
    await eventually(() => expect(failures.filter(({ loop }) => loop === 'heartbeat').length).toBeGreaterThan(2))
    await ask([`GRANT UPDATE ON ${database}.piko_node TO ${user}@'%'`])
    await eventually(async () => {
      expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded' })
    })
  })
})

describe('a database user without the privileges for a migration', () => {
  it.each([
    ['none but USAGE on its tables', 'CREATE TEMPORARY TABLES', /denied/],
    ['no CREATE', 'SELECT, INSERT, UPDATE, DELETE', /CREATE command denied/],
    ['no ALTER', 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP', /ALTER command denied|INDEX command denied/],
  ])('has %s: gets the GRANT and the alternatives', async (name, rights, reason) => {
    const database = `rights_${name.replaceAll(/\W/g, '')}`
    const user = `'poor'@'%'`
    await ask([
      `CREATE DATABASE ${database}`,
      `CREATE OR REPLACE USER ${user} IDENTIFIED BY 'pw'`,
      `GRANT ${rights} ON ${database}.* TO ${user}`,
    ])
    const dsn = `${server.dsn.replace(/\/\/[^@]+@/, '//poor:pw@')}/${database}`
    const error = await rejected(appOn(dsn).start())
    expect(error.code).toBe('MIGRATION_FAILED')
    expect(error.message).toMatch(reason)
    expect(error.message).toContain(
      `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON \`${database}\`.* TO 'poor'@`,
    )
    expect(error.message).toContain('piko migrate up')
    expect(error.message).toContain('auto_migrate = false')
    // Following the advice helps: another user migrates, or the right is granted.
    const rich = appOn(`${server.dsn}/${database}`)
    await rich.start()
    await rich.stop()
    await ask([`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.* TO ${user}`])
    for (const auto_migrate of [false, true]) {
      const app = appOn(dsn, { auto_migrate })
      await app.start()
      expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded' })
      await app.stop()
    }
  })
})
