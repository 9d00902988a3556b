import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { hookReceiver } from '../support/hook-receiver.ts'
import { errorOf, Project } from './project.ts'

const JOBS = { 'jobs.mjs': 'throw new Error("loaded")' }

/** A node of this process, on the file of a project. */
async function nodeOn(project: Project): Promise<string> {
  const settings = { sqlite: { path: join(project.folder, '.piko/piko.db') }, piko: { log_level: 'silent' } }
  const app = new Piko({ jobs: defineJob({ id: 'hello' }, () => 1), settings: { ...settings, http: { port: 0 } } })
  const service = app.addService(new HttpService(app, app.settings.http), { first: true })
  onTestFinished(() => app.stop())
  await app.start()
  return service.url ?? ''
}

describe('piko doctor', () => {
  it('exits with 0 on a healthy installation and 1 with findings, here and at a node, and loads no code', async () => {
    const project = new Project(JOBS)
    const url = await nodeOn(project)
    for (const args of [[], ['--url', url]]) {
      const healthy = await project.piko(['doctor', '--json', ...args])
      expect(healthy).toMatchObject({ code: 0, stderr: '' })
      expect(JSON.parse(healthy.stdout)).toMatchObject({ isHealthy: true, findings: [] })
    }
    const database = new DatabaseSync(join(project.folder, '.piko/piko.db'))
    database.exec('DROP INDEX run_queue')
    database.close()
    for (const args of [[], ['--url', url]]) {
      const sick = await project.piko(['doctor', '--json', ...args])
      expect(sick.code).toBe(1)
      expect(errorOf(sick)).toMatchObject({ code: 'DOCTOR_FOUND', details: { errors: 1 } })
      const { findings } = JSON.parse(sick.stdout) as { findings: { id: string; remedy: string }[] }
      expect(findings[0]).toMatchObject({
        id: 'schema.index',
        remedy: expect.stringContaining('CREATE INDEX run_queue') as string,
      })
    }
    const text = await project.piko(['doctor'])
    expect(text.stdout).toMatch(
      /^error schema\.index\n {2}.*run_queue.*\n {2}→ [^]*CREATE INDEX[^]*\d+ checks done, \d findings?/,
    )
  })

  it('says what is wrong where there is no database, a silent one, a foreign one, or a newer one', async () => {
    const project = new Project(JOBS)
    const doctor = async (env: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await project.piko(['doctor', '--json'], env)
      const { findings } = JSON.parse(stdout === '' ? '{"findings":[]}' : stdout) as { findings: { id: string }[] }
      return { code, ids: findings.map(({ id }) => id), text: stdout + stderr }
    }
    const empty = await doctor()
    expect(empty).toMatchObject({
      code: 1,
      ids: ['connectivity.failed'],
      text: expect.stringContaining('piko migrate up') as string,
    })
    expect(project.has('.piko/piko.db')).toBe(false)
    const away = await doctor({ PIKO_MYSQL__DSN: 'mysql://piko:s3cr3t@127.0.0.1:1/piko' })
    expect(away).toMatchObject({ code: 1, ids: ['connectivity.failed'] })
    expect(away.text).not.toContain('s3cr3t')
    // The port of a server that is no MySQL and says nothing.
    const mute = createServer(() => {})
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void mute.close())
    const { port } = mute.address() as AddressInfo
    const dsn = `mysql://piko:x@127.0.0.1:${port}/piko`
    expect(await doctor({ PIKO_MYSQL__DSN: dsn, PIKO_MYSQL__CONNECT_TIMEOUT: '1s' })).toMatchObject({
      code: 1,
      ids: ['connectivity.failed'],
    })
    writeFileSync(join(project.folder, 'notes.txt'), 'no database')
    expect((await doctor({ PIKO_SQLITE__PATH: 'notes.txt' })).code).toBe(1)
    await nodeOn(project)
    const database = new DatabaseSync(join(project.folder, '.piko/piko.db'))
    database.exec("INSERT INTO piko_migration VALUES (9999, 'of_the_future', 'up', 1, 0, '2030-01-01T00:00:00.000Z')")
    database.close()
    expect(await doctor()).toMatchObject({ code: 1, ids: ['schema.newer'] })
  })
})

describe('piko notify', () => {
  it('tests the notifiers of the settings, and exits with 1 if one fails', async () => {
    const { url, received } = await hookReceiver(200, 500)
    const project = new Project(JOBS)
    const none = await project.piko(['notify', 'test', '--json'])
    expect([none.code, errorOf(none).code]).toEqual([2, 'USAGE'])
    project.write('settings.toml', `[notify]\nwebhook_url = "${url}"\n`)
    const told = await project.piko(['notify', 'test'])
    expect(told).toMatchObject({ code: 0, stdout: expect.stringMatching(/^webhook: delivered in \d+ ms\n$/) as string })
    expect(received[0]?.json).toMatchObject({ kind: 'test', title: 'Test of Piko: this channel works' })
    const failed = await project.piko(['notify', 'test', '--to', 'webhook', '--json'])
    expect(errorOf(failed)).toMatchObject({ code: 'NOTIFY_FAILED', details: { notifiers: ['webhook'] } })
    expect([failed.code, JSON.parse(failed.stdout)]).toMatchObject([
      1,
      { tests: [{ notifier: 'webhook', isOk: false, error: expect.stringContaining('answered 500') as string }] },
    ])
    expect((await project.piko(['notify', 'list'])).stdout).toBe('no messages\n')
    expect((await project.piko(['notify', 'alerts', '--json'])).stdout).toBe('{"alerts":[]}\n')
  })
})
