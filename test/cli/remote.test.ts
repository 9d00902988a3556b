import { expect, it } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { testSettings } from '../support/app.ts'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { appendFileSync } from 'node:fs'
import { defineJob } from 'piko'
export const note = defineJob({ id: 'note' }, ({ input }) => { appendFileSync('notes', input + ';'); return input })
`

const json = (stdout: string): Record<string, unknown> => JSON.parse(stdout) as Record<string, unknown>

it('piko run executes its own run, and no other run of the job', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const waiting = json((await project.piko(['run', 'note', '--input', '"first"', '--no-wait', '--json'])).stdout)
  const own = json((await project.piko(['run', 'note', '--input', '"second"', '--json'])).stdout)
  expect(own).toMatchObject({ state: 'succeeded', output: 'second' })
  expect(project.read('notes')).toBe('second;')
  const { stdout } = await project.piko(['runs', 'list', '--state', 'queued', '--json'])
  expect(json(stdout)).toMatchObject({ runs: [{ id: waiting['id'], state: 'queued' }] })
})

it('with --url, commands ask a node and answer as with the database', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const path = `${project.folder}/.piko/piko.db`
  await project.piko(['migrate', 'up'])
  const note = defineJob({ id: 'note' }, ({ input }) => {
    if (input === 'fail') throw new Error('no shop "eu"')
    return input
  })
  const app = new Piko({ jobs: [note], settings: testSettings({ sqlitePath: path }) })
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  try {
    const env = { PIKO_URL: http.url ?? '' }
    const ran = await project.piko(['run', 'note', '--input', '"there"', '--json'], env)
    expect([ran.code, json(ran.stdout)]).toMatchObject([0, { jobId: 'note', state: 'succeeded', output: 'there' }])
    expect(project.has('notes')).toBe(false)
    const failed = await project.piko(['run', 'note', '--input', '"fail"', '--json'], env)
    expect([failed.code, errorOf(failed).code]).toEqual([1, 'RUN_FAILED'])
    for (const args of [
      ['runs', 'list'],
      ['runs', 'show', '1'],
      ['jobs', 'show', 'note'],
    ]) {
      const [here, there] = await Promise.all([
        project.piko([...args, '--json']),
        project.piko([...args, '--json'], env),
      ])
      expect([args, there.stderr, json(there.stdout)]).toEqual([args, '', json(here.stdout)])
    }
    const following = project.start(['live', 'follow', '--kinds', 'audit', '--json'], env)
    await until(() => /"isComplete":true|"kind":"complete"/.test(following.stdout))
    const paused = await project.piko(['jobs', 'pause', 'note', '--url', http.url ?? ''])
    expect(paused.code).toBe(0)
    await until(() => following.stdout.includes('"verb":"jobs.pause"'))
    following.kill('SIGINT')
    expect((await following.ended).code).toBe(0)
    expect((await app.jobs.show('note')).isPaused).toBe(true)
    const unknown = await project.piko(['runs', 'show', '999', '--json'], env)
    expect([unknown.code, errorOf(unknown).code]).toEqual([2, 'RUN_UNKNOWN'])
    const nobody = await project.piko(['runs', 'list', '--json', '--url', 'http://127.0.0.1:9'])
    expect([nobody.code, errorOf(nobody).code]).toEqual([1, 'HTTP_FAILED'])
    const local = await project.piko(['start', '--url', http.url ?? '', '--json'])
    expect([local.code, errorOf(local).code]).toEqual([2, 'USAGE'])
  } finally {
    await app.stop()
  }
})

it('piko completion prints a script, which asks for words', async () => {
  const project = new Project()
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await project.piko(['completion', shell])
    expect([shell, code, stdout]).toEqual([shell, 0, expect.stringContaining('piko complete')])
  }
  const { stdout } = await project.piko(['complete', '--', 'runs', ''])
  expect(stdout).toContain('replay')
})

it('--watch repeats what only shows something', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const watching = project.start(['runs', 'list', '--watch=200ms', '--json'])
  await until(() => watching.stdout.split('\n').length > 2)
  watching.kill('SIGINT')
  await watching.ended
  expect((await project.piko(['run', 'note', '--watch'])).code).toBe(2)
})
