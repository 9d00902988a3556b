import { describe, expect, it } from 'vitest'
import { errorOf, Project, until } from './project.ts'

const job = (text: string): string => `
import { defineJob } from 'piko'
import { appendFileSync } from 'node:fs'
export const hello = defineJob({ id: 'hello', cron: '* * * * * *' }, () => appendFileSync('done', '${text}\\n'))`

describe('piko dev', () => {
  it('uses the embedded store, starts again after a change, survives a broken file, and ends on Ctrl-C', async () => {
    const project = new Project({
      'jobs/hello.mjs': job('one'),
      'settings.toml': '[mysql]\ndsn = "mysql://nobody@127.0.0.1:1/none"\n[piko]\nlog_json = true',
    })
    const says = (text: string): Promise<boolean> =>
      until(() => project.has('done') && project.read('done').includes(text))
    const piko = project.start(['dev'])
    await says('one')
    expect(piko.stderr).toMatch(
      /^piko \d+\.\d+\.\d+ started in \S+\n {2}store {2}\.piko\/piko\.db\n {2}jobs {3}jobs\/hello\.mjs: hello\n {2}next {3}\S+Z hello\n {2}url {4}http:\/\/127\.0\.0\.1:\d+ \(dashboard, API, health, metrics\)$/m,
    )
    expect(piko.stderr).not.toContain('{"')

    project.write('jobs/hello.mjs', job('two'))
    await says('two')
    expect(piko.stderr).toContain('piko dev: jobs/hello.mjs changed; starting again')

    project.write('jobs/new/broken.mjs', 'export const = 1')
    await until(() => piko.stderr.includes('the process ended with code 2; it starts again when a file changes'))
    expect(piko.stderr).toContain("error JOB_LOAD_FAILED: jobs/new/broken.mjs can't be imported")
    project.write('jobs/new/broken.mjs', job('three').replace("'hello'", "'again'"))
    await says('three')

    piko.kill('SIGINT')
    expect((await piko.ended).code).toBe(0)
    expect(piko.stderr.match(/node stopped/g)).toHaveLength(3)
  })
})

describe('piko.config', () => {
  it('gives the app of piko start and piko run its options, services and hooks', async () => {
    const project = new Project({
      'piko.config.mjs': `
import { defineConfig, defineJob } from 'piko'
import { Service } from 'piko/service'
import { appendFileSync } from 'node:fs'
class Prices extends Service {
  async onStart() { appendFileSync('lines', 'service\\n') }
}
const hello = defineJob({ id: 'hello', every: '1s' }, () => {})
export default defineConfig(() => ({
  jobs: hello,
  services: [Prices],
  setup: (app) => void app.events.on('run.settled', ({ jobId, state }) => appendFileSync('lines', jobId + ' ' + state + '\\n')),
}))`,
      // Not loaded, because the config names the jobs.
      'jobs.mjs': 'throw new Error("loaded")',
    })
    expect((await project.piko(['run', 'hello'])).code).toBe(0)
    expect(project.read('lines')).toBe('service\nhello succeeded\n')
    const piko = project.start(['start'], { PIKO_LOG_JSON: 'true' })
    await until(() => project.read('lines').split('hello succeeded').length > 2)
    await until(() => piko.stderr.includes('listening on'))
    const line = piko.stderr.split('\n').find((one) => one.includes('listening on')) ?? ''
    expect(JSON.parse(line)).toMatchObject({
      store: '.piko/piko.db',
      jobs: { 'piko.config': ['hello'] },
      next_ticks: { hello: expect.stringMatching(/Z$/) as string },
    })
    piko.kill('SIGTERM')
    expect((await piko.ended).code).toBe(0)
  })

  it.each([
    ['export default { settings: {} }', 'USAGE', 'put them in settings.toml or the environment'],
    ['export const services = []', 'USAGE', 'its default export is undefined; expected options of the app'],
    ['export default { servics: [] }', 'USAGE', 'servics'],
    ['export default () => { throw new Error("no key") }', 'JOB_LOAD_FAILED', 'piko.config.mjs'],
    ['export default {', 'JOB_LOAD_FAILED', "piko.config.mjs can't be imported"],
  ])('refuses %s', async (text, code, says) => {
    const project = new Project({ 'piko.config.mjs': text, 'jobs.mjs': job('one') })
    const result = await project.piko(['start', '--json'])
    expect({ exit: result.code, ...errorOf(result) }).toMatchObject({
      exit: 2,
      code,
      message: expect.stringContaining(says) as string,
    })
    expect(project.has('.piko')).toBe(false)
  })
})
