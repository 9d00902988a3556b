import { describe, expect, it } from 'vitest'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineJob } from 'piko'
import { z } from 'zod'
export const copy = defineJob({ id: 'copy', config: z.object({ shop: z.string().default('eu') }) }, (ctx) => {
  console.error('a line of the handler')
  return { shop: ctx.config.shop, input: ctx.input }
})
export const broken = defineJob({ id: 'broken' }, () => { throw new Error('the shop is closed') })
export const gated = defineJob({ id: 'gated' }, async () => {
  writeFileSync('gated', '')
  while (!existsSync('open')) await new Promise((resolve) => setTimeout(resolve, 20))
  return 'through'
})
export const endless = defineJob({ id: 'endless' }, (ctx) => new Promise((_, reject) => {
  writeFileSync('begun', '')
  ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))
}))
`
// A handler that imports zod needs it next to the project, as in a user's installation.
const jobsUsing = (text: string): string => text.replace("'zod'", `'${import.meta.resolve('zod')}'`)

describe('piko run', () => {
  it('runs one job with its config and input, and prints the run', async () => {
    const project = new Project({ 'jobs.ts': jobsUsing(JOBS) })
    const args = ['run', 'copy', '--config', '{"shop":"us"}', '--input', '[1]']
    const asJson = await project.piko([...args, '--json'])
    expect(asJson.code).toBe(0)
    const run = JSON.parse(asJson.stdout) as Record<string, unknown>
    expect(run).toMatchObject({
      id: 1,
      jobId: 'copy',
      state: 'succeeded',
      attempt: 1,
      error: null,
      output: { shop: 'us', input: [1] },
    })
    expect(run['durationMs']).toBeTypeOf('number')

    const asText = await project.piko(args)
    expect(asText.stdout).toMatch(
      /^run {7}2\njob {7}copy\nstate {5}succeeded\nattempt {3}1\nduration {2}\S+\noutput {4}\{"shop":"us","input":\[1\]\}\n$/,
    )
  })

  it('exits with 1 when the run fails, and shows a stack only for debugging', async () => {
    const project = new Project({ 'jobs.mjs': jobsUsing(JOBS) })
    const result = await project.piko(['run', 'broken', '--json'])
    expect(result.code).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject({ state: 'failed', error: { message: 'the shop is closed' } })
    expect(errorOf(result)).toMatchObject({ code: 'RUN_FAILED', details: { runId: 1, jobId: 'broken' } })

    const quiet = await project.piko(['run', 'broken'], { PIKO_LOG_LEVEL: 'silent' })
    expect(quiet.stderr).toMatch(
      /^error RUN_FAILED: run 2 of job "broken" failed after 1 attempts?: Error: the shop is closed\n$/,
    )
    const debug = await project.piko(['run', 'broken'], { PIKO_LOG_LEVEL: 'debug' })
    expect(debug.stderr.split('error RUN_FAILED')[1]).toMatch(/\n +at /)
  })

  it('only queues the run with --no-wait', async () => {
    const project = new Project({ 'jobs.mjs': jobsUsing(JOBS) })
    const queued = await project.piko(['run', 'copy', '--no-wait', '--json'])
    expect(JSON.parse(queued.stdout)).toMatchObject({ id: 1, state: 'queued', attempt: 0 })
    expect(queued.stderr).toBe('')
    expect(queued.code).toBe(0)
  })

  it.each([
    ['a job that does not exist', ['run', 'coppy'], 'JOB_UNKNOWN', /did you mean "copy"/],
    ['a config that its schema refuses', ['run', 'copy', '--config', '{"shop":1}'], 'CONFIG_INVALID', /shop/],
    ['text that is no JSON', ['run', 'copy', '--input', '{'], 'USAGE', /--input <json>.*expected JSON/],
    [
      'a window of a job without windows',
      ['run', 'copy', '--window', '2026-01-01T00:00:00Z'],
      'WINDOW_UNKNOWN',
      /no windows/,
    ],
  ])('refuses %s with exit code 2', async (_name, args, code, says) => {
    const project = new Project({ 'jobs.mjs': jobsUsing(JOBS) })
    const result = await project.piko([...args, '--json'])
    expect(result.code).toBe(2)
    expect(errorOf(result).code).toBe(code)
    expect(errorOf(result).message).toMatch(says)
  })

  it('returns the run to the queue when a signal ends the wait, with the exit code of the signal', async () => {
    const project = new Project({ 'jobs.mjs': jobsUsing(JOBS) })
    const piko = project.start(['run', 'endless', '--json'], { PIKO_SHUTDOWN_TIMEOUT: '1s' })
    await until(() => project.has('begun'))
    piko.kill('SIGTERM')
    const result = await piko.ended
    expect(result.code).toBe(143)
    expect(errorOf(result)).toMatchObject({ code: 'STOPPED', details: { signal: 'SIGTERM', runId: 1 } })
  })

  it('on a signal, waits for the run under way, says so immediately, and ends as the run does', async () => {
    const project = new Project({ 'jobs.mjs': jobsUsing(JOBS) })
    const piko = project.start(['run', 'gated', '--json'])
    await until(() => project.has('gated'))
    piko.kill('SIGINT')
    await until(() =>
      piko.stderr.includes('SIGINT: waiting for the run in progress; a second signal stops immediately\n'),
    )
    project.write('open', '')
    const { code, stdout } = await piko.ended
    expect(code, piko.stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, state: 'succeeded', output: 'through' })
  })

  it('says how to plan a window that no node has planned yet', async () => {
    const project = new Project({
      'jobs.mjs': `
import { defineJob } from 'piko'
export const daily = defineJob({ id: 'daily', every: '1d', windows: { start: '2026-01-01T00:00:00Z' } }, () => {})`,
    })
    const result = await project.piko(['run', 'daily', '--window', '2026-01-01T00:00:00Z', '--json'])
    expect(errorOf(result)).toMatchObject({
      code: 'WINDOW_UNKNOWN',
      message: 'no node has planned job "daily" yet: start one with piko start',
    })
  })
})
