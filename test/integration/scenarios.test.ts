import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ExampleProcess } from './example-process.ts'

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-examples-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('the three scenarios keep their promises', async () => {
  const run = new ExampleProcess('scenarios.ts', { cwd: emptyFolder(), env: {} })
  expect(await run.end(), run.stdout + run.stderr).toBe(0)
  expect(run.stdout.match(/^ {2}holds: /gm)).toHaveLength(3)
})

test('the hello example greets each second and ends by itself', async () => {
  const run = new ExampleProcess('hello.ts', { cwd: emptyFolder(), env: { PIKO_LOG_LEVEL: 'warn' } })
  expect(await run.end(), run.stderr).toBe(0)
  const greetings = [...run.stdout.matchAll(/^hello at (.+)$/gm)].map((match) => Date.parse(match[1] ?? ''))
  expect(greetings.length).toBeGreaterThanOrEqual(3)
  expect(greetings[1]! - greetings[0]!).toBe(1_000)
})
