import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { createSqliteFile } from '../support/databases.ts'
import { testSettings } from '../support/app.ts'
import { SOURCE_FLAGS } from '../support/source-process.ts'

const fixture = fileURLToPath(new URL('../fixtures/engine/cycles.ts', import.meta.url))
const run = promisify(execFile)

interface Measured {
  readonly heap: number
  readonly listeners: number
  readonly handles: readonly string[]
}

it('200 starts and stops leak no listener, no handle and no memory', async () => {
  const { path, remove } = createSqliteFile()
  onTestFinished(remove)
  const settings = testSettings({ sqlitePath: path }, { piko: { block_threshold: '1s' } })
  const { stdout } = await run(process.execPath, [...SOURCE_FLAGS, fixture, JSON.stringify(settings), '200'])
  const { before, after } = JSON.parse(stdout) as { before: Measured; after: Measured }
  expect(after.listeners).toBe(before.listeners)
  expect(after.handles).toEqual([])
  // 200 leaked apps would take tens of megabytes.
  expect(after.heap - before.heap).toBeLessThan(4_000_000)
})
