import { readdirSync, readFileSync } from 'node:fs'
import { createConnection } from 'mysql2/promise'
import { expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/index.ts'
import { readEnvironment } from '../../src/settings/environment.ts'
import { createMysqlDatabase } from '../support/databases.ts'
import { errorOf, Project } from '../cli/project.ts'

const page = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')
const fileOf = (name: string): string => readFileSync(new URL(`../../deploy/${name}`, import.meta.url), 'utf8')

it('docs/deploy.md shows the privileges of three users, and they are enough', async () => {
  const { options, dsn, drop } = await createMysqlDatabase()
  const { host, port, user, password, database } = options
  const admin = await createConnection({ host, port, user, password })
  onTestFinished(async () => {
    for (const name of ['migrate', 'app', 'scaler']) await admin.query(`DROP USER IF EXISTS ${database}_${name}@'%'`)
    await admin.end()
    await drop()
  })
  const [, script = ''] = /```sql\n([\s\S]*?)```/.exec(page) ?? []
  const statements = script
    .replaceAll('piko.*', `${database}.*`)
    .replaceAll(/piko_(?=migrate|app|scaler)/g, `${database}_`)
  for (const statement of statements.split(';').filter((one) => one.trim() !== '')) await admin.query(statement)
  const dsnOf = (name: string): string => {
    const url = new URL(dsn)
    url.username = `${database}_${name}`
    url.password = new RegExp(`piko_${name}@'%' IDENTIFIED BY '(.*)'`).exec(script)?.[1] ?? ''
    return url.href
  }

  const project = new Project()
  const app = { PIKO_MYSQL__DSN: dsnOf('app'), PIKO_AUTO_MIGRATE: 'false' }
  expect(errorOf(await project.piko(['runs', 'list', '--json'], app)).code).toBe('SCHEMA_OLDER')
  expect(errorOf(await project.piko(['migrate', 'up', '--json'], app)).code).toBe('MIGRATION_FAILED')
  expect(await project.piko(['migrate', 'up'], { PIKO_MYSQL__DSN: dsnOf('migrate') })).toMatchObject({ code: 0 })

  const hello = defineJob({ id: 'hello' }, async (ctx) => ctx.step('one', () => 1))
  const node = new Piko({
    jobs: hello,
    settings: { mysql: { dsn: dsnOf('app') }, piko: { auto_migrate: false, log_level: 'silent' } },
  })
  await node.start()
  expect(await node.run('hello', { wait: true })).toMatchObject({ state: 'succeeded', output: 1 })
  await node.enqueue('hello', { runAt: new Date(Date.now() + 3_600_000) })
  await node.stop()

  const [, query = ''] = /query: >-\n([\s\S]*?)\n {8}queryValue/.exec(fileOf('kubernetes/autoscaling.yaml')) ?? []
  const scaler = await createConnection(dsnOf('scaler'))
  const age = async (): Promise<number> => {
    const [rows] = await scaler.query({ sql: query, rowsAsArray: true })
    return Number((rows as [[number]])[0][0])
  }
  expect(await age()).toBe(0)
  await admin.query(
    `UPDATE ${database}.piko_run SET run_at = UTC_TIMESTAMP() - INTERVAL 90 SECOND WHERE state = 'queued'`,
  )
  expect(await age()).toBeGreaterThanOrEqual(90)
  await scaler.end()
})

it('names only settings that exist, and gives a node more time than it takes to stop', () => {
  const files = [
    ...['Dockerfile', 'systemd/piko.service'],
    ...readdirSync(new URL('../../deploy/kubernetes/', import.meta.url)).map((name) => `kubernetes/${name}`),
  ]
  for (const name of files) {
    const found = fileOf(name).matchAll(/\b(PIKO_[A-Z_]+)(?:=|, value: '?| *$)([^\s'}]*)/gm)
    const variables = Object.fromEntries(
      [...found].map(([, key = '', value = '']) => [key, value === '' ? 'x' : value]),
    )
    delete variables['PIKO_PORT'] // Only named in a comment.
    expect({ name, problems: readEnvironment(variables).problems }).toEqual({ name, problems: [] })
  }
  for (const [name, pattern] of [
    ['kubernetes/deployment.yaml', /terminationGracePeriodSeconds: (\d+)/],
    ['systemd/piko.service', /TimeoutStopSec=(\d+)s/],
  ] as const)
    expect(Number(pattern.exec(fileOf(name))?.[1])).toBeGreaterThanOrEqual(36)
})
