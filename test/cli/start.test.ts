import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { errorOf, Project, until } from './project.ts'

const HELLO = `
import { defineJob } from 'piko'
export const hello = defineJob({ id: 'hello', cron: '* * * * * *' }, () => {})
`

describe('piko start', () => {
  it('runs the jobs of jobs.ts without settings, counts them in /metrics, and exits with 0 on SIGTERM', async () => {
    const project = new Project({
      'jobs.ts': `${HELLO}
export const daily = defineJob(
  { id: 'daily', every: '1d', windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-04T00:00:00Z' } },
  (ctx) => {
    if (ctx.window.start.getUTCDate() === 2) throw new Error('no data')
  },
)
export const once = defineJob(
  { id: 'once', every: '1d', windows: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' } },
  () => {},
)`,
    })
    const piko = project.start(['start', '--json'])
    const { url, jobs, store } = await piko.started()
    expect({ jobs, store }).toEqual({ jobs: ['daily', 'hello', 'once'], store: '.piko/piko.db' })
    const metric = async (pattern: RegExp): Promise<boolean> =>
      pattern.test(await (await fetch(`${url}/metrics`)).text())
    await until(() => metric(/^piko_job_run_total\{job_id="hello",status="succeeded"\} [1-9]/m))
    await until(() => metric(/^piko_job_run_total\{job_id="daily",status="succeeded"\} 2/m))
    await until(() => metric(/^piko_job_run_total\{job_id="daily",status="failed"\} 1/m))
    await until(() => metric(/^piko_job_run_total\{job_id="once",status="succeeded"\} 1/m))
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    piko.kill('SIGTERM')
    const { code, stdout, stderr } = await piko.ended
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toContain('node stopped')
    expect(stderr.split('\n').filter((line) => /ExperimentalWarning|keeps the process alive/.test(line))).toEqual([])

    const summary = await project.piko(['windows', 'summary', 'daily', '--json'])
    expect(JSON.parse(summary.stdout)).toMatchObject({
      job: 'daily',
      counts: { succeeded: 2, failed: 1, pending: 0 },
      watermark: '2026-01-02T00:00:00.000Z',
      firstHole: { start: '2026-01-02T00:00:00.000Z', state: 'failed' },
    })
    const windows = await project.piko(['windows', 'list', 'daily', '--state', 'succeeded', '--json'])
    expect(JSON.parse(windows.stdout)).toMatchObject({
      job: 'daily',
      windows: [
        { start: '2026-01-01T00:00:00.000Z', end: '2026-01-02T00:00:00.000Z', state: 'succeeded', attempt: 1 },
        { start: '2026-01-03T00:00:00.000Z' },
      ],
    })
    expect((await project.piko(['windows', 'summary', 'daily'])).stdout).toContain(
      'daily: 3 windows (2 succeeded, 1 failed); watermark 2026-01-02T00:00:00Z; first hole 2026-01-02T00:00:00Z (failed)',
    )
    const text = (await project.piko(['windows', 'daily'])).stdout
    expect(text).toMatch(/^2026-01-02T00:00:00Z {2}2026-01-03T00:00:00Z {2}failed +\d+ +1 +no data$/m)
    expect(text).not.toContain('more')
    expect((await project.piko(['windows', 'summary', 'once'])).stdout).toContain(
      'once: 1 window (1 succeeded); watermark',
    )
    expect((await project.piko(['windows', 'list', 'daily', '--limit', '1'])).stdout).toMatch(
      /\n… and more; a higher --limit shows them\n$/,
    )
    expect(
      (await project.piko(['windows', 'list', 'daily', '--limit', '1', '--state', 'failed'])).stdout,
    ).not.toContain('more')
  })

  it('lets a run end before it exits, and exits immediately on the second signal', async () => {
    const project = new Project({
      'jobs/slow.mjs': `
import { writeFileSync } from 'node:fs'
import { defineJob } from 'piko'
export const slow = defineJob({ id: 'slow', at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d' }, async () => {
  writeFileSync('begun', '')
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  writeFileSync('done', '')
})
export const endless = defineJob({ id: 'endless' }, async () => {
  writeFileSync('endless', '')
  await new Promise((resolve) => setTimeout(resolve, 600_000))
})`,
    })
    const piko = project.start(['start', '--no-http'])
    await until(() => project.has('begun'))
    // SIGHUP stops it like SIGINT and SIGTERM.
    piko.kill('SIGHUP')
    expect((await piko.ended).code).toBe(0)
    expect(project.has('done')).toBe(true)

    await project.piko(['run', 'endless', '--no-wait'])
    const again = project.start(['start', '--no-http', '--json'])
    await until(() => project.has('endless'))
    let code: number | null | undefined
    void again.ended.then((result) => (code = result.code))
    await until(() => {
      again.kill('SIGINT')
      return code
    }, 200)
    expect(code).toBe(130)
  })
})

describe('a database file deleted while it is open', () => {
  it('ends the process with 1, in order, with one log line', async () => {
    const project = new Project({ 'jobs.mjs': HELLO })
    const piko = project.start(['start', '--no-http'], { PIKO_LEASE: '2s', PIKO_LOG_JSON: 'true' })
    await until(() => piko.stderr.includes('run succeeded'))
    rmSync(join(project.folder, '.piko/piko.db'))
    const { code, stderr } = await piko.ended
    expect(code).toBe(1)
    const lines = stderr.split('\n').filter((line) => line.startsWith('{') && line.includes('DATABASE_GONE'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('piko.db was deleted or moved while it was open')
    expect(stderr).toContain('node stopped')
    expect(project.has('.piko/piko.db')).toBe(false)
  })
})

describe('an error that nobody catches', () => {
  const SINK = `
const Row = z.object({ id: z.int() })
const Rows = defineSink({ name: 'rows', on: [[Row, () => {}]] })`
  const once = "at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d'"

  it('is logged when it is a rejection, and the node continues', async () => {
    const project = new Project({
      'jobs.mjs': `
import { defineJob, defineSink } from 'piko'
import { z } from '${import.meta.resolve('zod')}'
${SINK}
export const careless = defineJob({ id: 'careless', ${once} }, () => {
  void Promise.reject(new Error('nobody waits for mysql://u:s3cr3t@h/db'))
})
export const forgetful = defineJob({ id: 'forgetful', ${once}, sinks: { rows: Rows } }, (ctx) => {
  void ctx.sinks.rows.write(Row, { id: 'one' })
})
export const hello = defineJob({ id: 'hello', cron: '* * * * * *' }, () => {})`,
    })
    const piko = project.start(['start', '--json'], { PIKO_LOG_JSON: 'true' })
    const { url } = await piko.started()
    const metrics = async (): Promise<string> => (await fetch(`${url}/metrics`)).text()
    await until(async () => /"careless",status="succeeded"\} 1/.test(await metrics()))
    await until(async () => /"forgetful",status="failed"\} 1/.test(await metrics()))
    await until(() => piko.stderr.includes('unhandled rejection'))
    const count = async (): Promise<number> =>
      Number(/"hello",status="succeeded"\} (\d+)/.exec(await metrics())?.[1] ?? 0)
    const before = await count()
    await until(async () => (await count()) > before)
    piko.kill('SIGTERM')
    const { code, stderr } = await piko.ended
    expect(code).toBe(0)
    const errors = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string; msg: string; job_id?: string; err: object })
      .filter(({ level }) => level === 'error')
    expect(errors.toSorted((a, b) => (a.job_id ?? '').localeCompare(b.job_id ?? ''))).toMatchObject([
      {
        msg: 'unhandled rejection: a handler did not await one of its promises; the node continues',
        err: { message: 'nobody waits for mysql://u:[redacted]@h/db' },
      },
      { job_id: 'forgetful', msg: 'run failed; it will not be retried', err: { code: 'SINK_ROW_INVALID' } },
    ])
    expect(stderr).not.toContain('s3cr3t')
  })

  it('is logged when it is an exception; the node waits for its runs and exits with code 1', async () => {
    const project = new Project({
      'jobs.mjs': `
import { writeFileSync } from 'node:fs'
import { defineJob } from 'piko'
export const slow = defineJob({ id: 'slow', ${once} }, async () => {
  setTimeout(() => { throw new Error('thrown at mysql://u:s3cr3t@h/db') }, 100)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  writeFileSync('done', '')
})`,
    })
    const { code, stderr } = await project.piko(['start', '--no-http'])
    expect(code).toBe(1)
    expect(project.has('done')).toBe(true)
    expect(stderr).toContain('uncaught exception; the node waits for its runs and exits with code 1')
    expect(stderr).toContain('thrown at mysql://u:[redacted]@h/db')
    expect(stderr).toContain('run succeeded')
    expect(stderr).toContain('node stopped')
    expect(stderr).not.toContain('s3cr3t')
  })
})

describe("a start that can't succeed", () => {
  interface Case {
    readonly files?: Record<string, string>
    readonly env?: Record<string, string>
    readonly code: string
    readonly says: RegExp
  }

  const cases: Record<string, Case> = {
    'wrong settings': {
      files: { 'jobs.mjs': HELLO, 'settings.toml': '[piko]\nconcurency = 3\nlease = 15' },
      code: 'SETTINGS_INVALID',
      says: /2 problems.*piko\.concurrency.*piko\.lease = 15/s,
    },
    'no jobs': { code: 'JOBS_NOT_FOUND', says: /jobs\.\{ts.*export one/s },
    'a file without jobs': {
      files: { 'jobs.mjs': 'export const a = 1' },
      code: 'JOBS_NOT_FOUND',
      says: /exported by jobs\.mjs/,
    },
    'a file that throws': {
      files: { 'jobs.mjs': 'throw new Error("nope")' },
      code: 'JOB_LOAD_FAILED',
      says: /jobs\.mjs.*nope/,
    },
    'one id for two jobs': {
      files: { 'jobs/a.mjs': HELLO, 'jobs/b.mjs': HELLO },
      code: 'JOB_DUPLICATE',
      says: /"hello" is defined twice.*jobs\/a\.mjs.*jobs\/b\.mjs/,
    },
    'a cron that can not be read': {
      files: { 'jobs.mjs': HELLO.replace('* * * * * *', '61 * * * *') },
      code: 'SCHEDULE_INVALID',
      says: /jobs\.mjs: job "hello": cron is "61 \* \* \* \*"/,
    },
    'a database that is not there': {
      files: { 'jobs.mjs': HELLO },
      env: { PIKO_MYSQL__DSN: 'mysql://piko:sesame@127.0.0.1:9/piko' },
      code: 'DATABASE_UNREACHABLE',
      says: /127\.0\.0\.1:9/,
    },
  }

  it.each(Object.entries(cases))(
    'reports one error about %s, exits with 2 and leaves nothing behind',
    async (_name, wrong) => {
      const project = new Project(wrong.files)
      const result = await project.piko(['start', '--json'], wrong.env)
      expect(errorOf(result).code).toBe(wrong.code)
      expect(errorOf(result).message).toMatch(wrong.says)
      expect(result.code).toBe(2)
      expect(result.stdout).toBe('')
      expect(result.stderr.trimEnd().split('\n')).toHaveLength(1)
      expect(result.stderr).not.toContain('sesame')
      expect(project.has('.piko')).toBe(false)
    },
  )

  it('fails on a used port, before the database is created', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    try {
      const port = String((other.address() as AddressInfo).port)
      const project = new Project({ 'jobs.mjs': HELLO })
      const result = await project.piko(['start'], { PIKO_HTTP__PORT: port })
      expect(result.code).toBe(2)
      expect(result.stderr).toMatch(
        new RegExp(`^error HTTP_LISTEN_FAILED: cannot listen on 127.0.0.1:${port}: the port is in use`),
      )
      expect(project.has('.piko')).toBe(false)
    } finally {
      other.close()
    }
  })

  it('fails on a newer schema, which it does not touch', async () => {
    const project = new Project({ 'jobs.mjs': HELLO })
    const database = await openDatabase({ sqlitePath: join(project.folder, '.piko/piko.db') })
    await migrate(database, { direction: 'up' })
    await database.sql.exec(
      "INSERT INTO piko_migration (version, name, direction, steps_done, is_step_open, applied_at) VALUES (99, '0099_later', 'up', 1, 0, '2026-01-01 00:00:00.000')",
    )
    const rows = async () => [
      await database.sql.query('SELECT * FROM piko_migration'),
      await database.sql.query('SELECT * FROM piko_job'),
    ]
    const before = await rows()
    for (const command of [['start'], ['run', 'hello'], ['migrate', 'up']]) {
      const result = await project.piko([...command, '--json'])
      expect(result.code).toBe(2)
      expect(errorOf(result)).toMatchObject({ code: 'SCHEMA_NEWER', details: { current: 99 } })
    }
    expect(await rows()).toEqual(before)
    await database.close()
  })
})

describe('a stop of piko start', () => {
  const files = {
    'jobs.mjs': `
import { writeFileSync } from 'node:fs'
import { defineJob, defineResource } from 'piko'
const once = { at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d' }
const hung = defineResource({
  name: 'hung',
  acquire: async function* () { yield 1 },
  close: () => process.env['HANG'] ? new Promise(() => {}) : Promise.resolve(),
})
export const stubborn = defineJob({ id: 'stubborn', ...once, resources: { hung } }, async () => {
  writeFileSync('begun', '')
  await new Promise(() => {})
})`,
  }

  it.each([
    ['0 when handlers ignore their signal and their runs are queued again', {}, 0],
    ['1 when something hangs, and names it', { HANG: '1' }, 1],
  ])('ends with %s', async (_what, env, expected) => {
    const project = new Project(files)
    const piko = project.start(['start', '--no-http'], { PIKO_SHUTDOWN_TIMEOUT: '1s', ...env })
    await until(() => project.has('begun'))
    piko.kill('SIGTERM')
    const { code, stderr } = await piko.ended
    expect({ code, stderr }).toMatchObject({ code: expected })
    expect(stderr).toContain('runs at stop: 0 ended, 1 returned to the queue, 1 of them with handlers that ignore')
    if (expected === 1) expect(stderr).toContain('resource hung failed to close')
    const runs = JSON.parse((await project.piko(['runs', 'list', '--json'])).stdout) as { runs: { state: string }[] }
    expect(runs).toMatchObject({ runs: [{ state: 'queued', attempt: 0 }] })
  })

  it('obeys SIGTERM in time while connections send nothing', async () => {
    const project = new Project({ 'jobs.mjs': HELLO })
    const piko = project.start(['start', '--json'])
    const { url } = await piko.started()
    const sockets = ['', 'GET /healthz HTTP/1.1\r\n'].map((sent) => {
      const socket = connect(Number(new URL(url ?? '').port), '127.0.0.1')
      socket.on('error', () => {}).write(sent)
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await fetch(`${url}/healthz`)
    piko.kill('SIGTERM')
    expect((await piko.ended).code).toBe(0)
  })
})

describe('process.exit in a handler', () => {
  it.each(['run', 'start'] as const)('does not turn piko %s into a success, and the job is named', async (command) => {
    const schedule = command === 'start' ? `, at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d'` : ''
    const project = new Project({
      'jobs.mjs': `
import { defineJob } from 'piko'
export const quits = defineJob({ id: 'quits'${schedule} }, () => process.exit(0))`,
    })
    const { code, stderr } = await project.piko(command === 'run' ? ['run', 'quits'] : ['start', '--no-http'])
    expect(stderr).toMatch(/exited with code 0 before the command was done with runs in progress: quits 1/)
    expect(code).toBe(1)
  })

  it('an exit code set by a handler does not turn a failed run into a success', async () => {
    const project = new Project({
      'jobs.mjs': `
import { defineJob } from 'piko'
export const fails = defineJob({ id: 'fails', retry: { limit: 0 } }, () => {
  process.exitCode = 0
  throw new Error('no')
})`,
    })
    expect((await project.piko(['run', 'fails'])).code).toBe(1)
  })
})
