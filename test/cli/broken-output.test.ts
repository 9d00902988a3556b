import { closeSync, openSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CliProcess, Project, type Streams, until } from './project.ts'

/** Files that fail each write, by error code. */
const BROKEN = {
  // A full disk.
  ENOSPC: ['/dev/full', 'w'],
  // A closed terminal, or a broken disk. This process's memory has no page at address 0.
  EIO: ['/proc/self/mem', 'r+'],
} as const

function open(code: keyof typeof BROKEN): number {
  const [path, flags] = BROKEN[code]
  const fd = openSync(path, flags)
  onTestFinished(() => closeSync(fd))
  return fd
}

const JOBS = `
import { appendFileSync, writeFileSync } from 'node:fs'
import { defineJob } from 'piko'
export const beat = defineJob({ id: 'beat', cron: '* * * * * *' }, (ctx) => {
  ctx.log.info('beat')
  appendFileSync('beats', '.')
})
export const slow = defineJob({ id: 'slow', at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d' }, async () => {
  writeFileSync('begun', '')
  while (!(await import('node:fs')).existsSync('let-go')) await new Promise((resolve) => setTimeout(resolve, 20))
  writeFileSync('done', '')
})
export const hello = defineJob({ id: 'hello' }, () => {
  writeFileSync('hello', '')
})
export const fails = defineJob({ id: 'fails', retry: { limit: 0 } }, () => { throw new Error('no') })
export const quits = defineJob({ id: 'quits' }, () => process.exit(0))`

/** Sends SIGTERM while a run is under way, and lets that run end. */
async function drained(project: Project, piko: CliProcess): Promise<number | null> {
  await until(() => project.has('begun') && project.has('beats'))
  piko.kill('SIGTERM')
  project.write('let-go', '')
  return (await piko.ended).code
}

describe('piko start with unwritable output', () => {
  const both = (code: keyof typeof BROKEN): Streams => ({ stdout: open(code), stderr: open(code) })

  it.each(['ENOSPC', 'EIO'] as const)('runs its jobs and drains with exit code 0 (%s)', async (code) => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const piko = project.start(['start', '--no-http', '--json'], { PIKO_LOG_LEVEL: 'trace' }, both(code))
    expect(await drained(project, piko)).toBe(0)
    expect(project.has('done')).toBe(true)
  })

  it('continues when both readers leave meanwhile', async () => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const piko = project.start(['start', '--no-http', '--json'], { PIKO_LOG_LEVEL: 'trace' })
    await piko.started()
    piko.close('stdout')
    piko.close('stderr')
    expect(await drained(project, piko)).toBe(0)
    expect(project.has('done')).toBe(true)
  })
})

describe('a command with unwritable standard error', () => {
  it.each([
    ['quits', 'a handler that calls process.exit', 1],
    ['fails', 'a run that failed', 1],
    ['hello', 'a run that succeeded', 0],
    ['unknown', 'a job that does not exist', 2],
  ])('ends as usual: %s, %s', async (job, _what, expected) => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const piko = project.start(['run', job], {}, { stderr: open('ENOSPC') })
    expect((await piko.ended).code).toBe(expected)
  })

  it('exits although a module keeps the process alive', async () => {
    const project = new Project({ 'jobs.mjs': `${JOBS}\nsetInterval(() => {}, 1_000)` })
    const piko = project.start(['run', 'hello'], {}, { stderr: open('EIO') })
    expect((await piko.ended).code).toBe(0)
  })
})

describe('a command with unwritable standard output', () => {
  it.each([
    ['run', ['run', 'hello'], 1],
    ['jobs list', ['jobs', 'list'], 1],
    ['run of a job that fails', ['run', 'fails'], 1],
  ])('reports it once and fails: %s', async (_name, args, expected) => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const piko = project.start(args, {}, { stdout: open('ENOSPC') })
    const { code, stderr } = await piko.ended
    expect(stderr.match(/standard output can't be written: .*ENOSPC/g)).toHaveLength(1)
    // What Node prints when an error ends the process.
    expect(stderr).not.toContain('Node.js v')
    expect(code).toBe(expected)
  })

  it.each([
    ['hello', 0],
    ['fails', 1],
  ])('does not turn a failed run into a success when the reader has left: %s', async (job, expected) => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const piko = project.start(['run', job])
    piko.close('stdout')
    expect((await piko.ended).code).toBe(expected)
  })
})
