import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { Contained } from '../support/namespace.ts'
import { until } from '../cli/project.ts'

/** A run that is in progress when the signal comes, and tells who runs it and where it can write. */
const JOBS = `
import { setTimeout } from 'node:timers/promises'
import { writeFileSync } from 'node:fs'
import { defineJob } from 'piko'
const once = { at: '2026-01-01T00:00:00Z', misfireGraceTime: '99999d' }
export const slow = defineJob({ id: 'slow', ...once }, async (ctx) => {
  let refused = ''
  try { writeFileSync('here', '') } catch (error) { refused = error.code }
  ctx.log.info({ uid: process.getuid(), refused }, 'begun')
  await setTimeout(2_000)
  return 'done'
})`

/** The command of the Dockerfile, and that of a project of piko init. */
const [, json = '[]'] =
  /^CMD (.*)$/m.exec(readFileSync(new URL('../../deploy/Dockerfile', import.meta.url), 'utf8')) ?? []
const DIRECT = (JSON.parse(json) as string[]).join(' ')

it.each([
  ['the command of the Dockerfile', DIRECT],
  ['npm start', 'npm start'],
])('%s as the first process drains on SIGTERM and exits with 0', async (_what, command) => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-contained-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755) // Another user reads it.
  mkdirSync(join(folder, '.piko'))
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  symlinkSync('/mnt/piko', join(folder, 'node_modules/piko'))
  symlinkSync('../piko/dist/bin.js', join(folder, 'node_modules/.bin/piko'))
  const scripts = { start: 'exec piko start' }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', scripts }))
  writeFileSync(join(folder, 'jobs.mjs'), JOBS)

  const contained = new Contained(folder, command, { PIKO_LOG_JSON: 'true', PIKO_HTTP__PORT: '0' })
  const line = (text: string): Promise<Record<string, unknown>> =>
    until(() => {
      const found = contained.output.split('\n').find((one) => one.startsWith('{') && one.includes(text))
      if (found === undefined && contained.hasEnded) throw new Error(contained.output)
      return found === undefined ? undefined : (JSON.parse(found) as Record<string, unknown>)
    })
  expect(await line('"begun"')).toMatchObject({ refused: 'EROFS', ...(process.getuid?.() === 0 && { uid: 65_534 }) })
  contained.kill('SIGTERM')
  expect({ code: await contained.ended, output: contained.output }).toMatchObject({ code: 0 })
  expect(await line('run.settled')).toMatchObject({ job_id: 'slow', state: 'succeeded' })
  expect(await line('node stopped')).toBeDefined()
})

it('is what piko init writes: the same Dockerfile, and a script that keeps the signal', () => {
  const source = readFileSync(fileURLToPath(new URL('../../src/cli/init/project-files.ts', import.meta.url)), 'utf8')
  const [, written = ''] = /const DOCKERFILE = `([^`]*)`/.exec(source) ?? []
  const instructions = (text: string): string[] =>
    text
      .replaceAll('\\\\', '\\')
      .split('\n')
      .filter((one) => one !== '' && !one.startsWith('#'))
  const shown = readFileSync(new URL('../../deploy/Dockerfile', import.meta.url), 'utf8')
  expect(instructions(written)).toEqual(instructions(shown))
  expect(source).toContain("start: 'exec piko start'")
})
