import { describe, expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

const JOBS = `
import { defineJob } from 'piko'
export const hourly = defineJob(
  { id: 'hourly', description: 'copies\\torders', cron: '0 * * * *', timezone: 'Europe/Berlin', windows: { start: '2026-01-01T00:00:00Z' } },
  () => {},
)
export const often = defineJob({ id: 'often', every: '1h30m' }, () => {})
export const hand = defineJob({ id: 'hand' }, () => {})
`

/** The jobs of {@link JOBS} without windows to catch up. */
const KNOWN = "export { often, hand } from './jobs.mjs'"

describe('piko jobs list', () => {
  it('shows the jobs before a node has ever started, and creates no database', async () => {
    const project = new Project({ 'src/jobs/orders.ts': JOBS })
    const asJson = await project.piko(['jobs', 'list', '--json'])
    const { jobs } = JSON.parse(asJson.stdout) as { jobs: object[] }
    expect(jobs).toMatchObject([
      { id: 'hand', schedule: null, nextTick: null, windows: null, state: 'new', description: null },
      {
        id: 'hourly',
        schedule: { kind: 'cron', cron: '0 * * * *', timezone: 'Europe/Berlin' },
        nextTick: '2026-01-01T01:00:00.000Z',
        windows: { start: '2026-01-01T00:00:00.000Z', catchUp: 'all', parallel: 1 },
      },
      { id: 'often', schedule: { kind: 'every', everyMs: 5_400_000 } },
    ])
    expect(asJson.stderr).toBe('')
    expect(project.has('.piko')).toBe(false)
  })

  it('combines code and database: active, paused, and jobs without code', async () => {
    const project = new Project({ 'jobs.mjs': JOBS, 'known.mjs': KNOWN })
    await startOnce(project, 'known.mjs')
    await withSql(project, "UPDATE piko_job SET is_paused = 1 WHERE id = 'often'")
    await withSql(project, "UPDATE piko_job SET id = 'former' WHERE id = 'hand'")
    const { stdout, code } = await project.piko(['jobs', 'list'])
    expect(code).toBe(0)
    const [title, ...lines] = stdout.trimEnd().split('\n')
    expect(title).toMatch(/^JOB +SCHEDULE +ZONE +NEXT TICK +WINDOWS +STATE +DESCRIPTION$/)
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ['former', '-', '-', '-', '-', 'no code'],
      ['hand', '-', '-', '-', '-', 'new'],
      ['hourly', '0 * * * *', 'Europe/Berlin', '2026-01-01T01:00:00Z', 'yes', 'new', 'copies orders'],
      ['often', 'every 1h30m', '-', expect.stringMatching(/^\d{4}-.*Z$/) as string, '-', 'paused'],
    ])
    const shown = await project.piko(['jobs', 'show', 'often'])
    expect(shown.stdout).toMatch(/^job +often\nschedule +every 1h30m\n(?:.*\n)+state +paused\n/)
    const unknown = await project.piko(['jobs', 'show', 'oftn', '--json'])
    expect(errorOf(unknown).code).toBe('JOB_UNKNOWN')
  })

  it("shows the schedule in force when an edited one can't be read", async () => {
    const project = new Project({ 'jobs.mjs': JOBS, 'known.mjs': KNOWN })
    await startOnce(project, 'known.mjs')
    await withSql(project, "UPDATE piko_job SET schedule = '{bad' WHERE id = 'often'")
    const { stdout } = await project.piko(['jobs', 'list'])
    expect(stdout).toMatch(/\noften +every 1h30m \(invalid edit\) /)
    const { jobs } = JSON.parse((await project.piko(['jobs', 'list', '--json'])).stdout) as { jobs: { id: string }[] }
    expect(jobs.find(({ id }) => id === 'often')).toMatchObject({
      schedule: { kind: 'every' },
      isOverridden: true,
      problem: expect.stringMatching(/^job "often": schedule is "\{bad"; expected/) as string,
    })
  })

  it('ends even when a module of the project keeps the process alive', async () => {
    const project = new Project({ 'jobs.mjs': `${JOBS}\nsetInterval(() => {}, 1_000)` })
    const result = await project.piko(['jobs', 'list', '--json'])
    expect(JSON.parse(result.stdout)).toHaveProperty('jobs.length', 3)
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/keeps the process alive \(.*Timeout/)
  })
})

describe('piko migrate', () => {
  it('migrates up, shows the version, and migrates down again', async () => {
    const project = new Project()
    const status = async () =>
      JSON.parse((await project.piko(['migrate', 'status', '--json'])).stdout) as { current: number; latest: number }
    const { latest } = await status()
    expect(await status()).toMatchObject({ current: 0 })
    expect(project.has('.piko')).toBe(false)

    const up = JSON.parse((await project.piko(['migrate', 'up', '--json'])).stdout) as { applied: string[] }
    expect(up).toMatchObject({ direction: 'up', current: latest })
    expect(up.applied).toHaveLength(latest)
    expect((await project.piko(['migrate', 'up'])).stdout).toBe(`the schema is at version ${latest} of ${latest}\n`)
    expect((await project.piko(['migrate', 'down', '--to', '0'])).stdout).toContain(
      `the schema is at version 0 of ${latest}`,
    )
    expect((await status()).current).toBe(0)

    const result = await project.piko(['migrate', 'up', '--to', '77', '--json'])
    expect(result.code).toBe(2)
    expect(errorOf(result)).toMatchObject({ code: 'USAGE', details: { to: 77 } })
  })
})

describe('piko windows', () => {
  it('refuses a job that the database does not know, and a job without windows', async () => {
    const project = new Project({ 'jobs.mjs': JOBS })
    expect(errorOf(await project.piko(['windows', 'list', 'hourly', '--json']))).toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(project.has('.piko')).toBe(false)
    project.write('known.mjs', KNOWN)
    await startOnce(project, 'known.mjs')
    const result = await project.piko(['windows', 'summary', 'hand', '--json'])
    expect(result.code).toBe(2)
    expect(errorOf(result)).toMatchObject({
      code: 'WINDOW_UNKNOWN',
      message: expect.stringContaining('"hand"') as string,
    })
  })
})

/** Makes the jobs of one file known to the database. */
async function startOnce(project: Project, file: string): Promise<void> {
  const piko = project.start(['start', '--no-http', '--json', '--jobs', file])
  await piko.started()
  piko.kill('SIGTERM')
  expect((await piko.ended).code).toBe(0)
}

async function withSql(project: Project, statement: string): Promise<void> {
  const { openDatabase } = await import('../../src/store/connection/database.ts')
  const database = await openDatabase({ sqlitePath: `${project.folder}/.piko/piko.db` })
  await database.sql.exec(statement)
  await database.close()
}
