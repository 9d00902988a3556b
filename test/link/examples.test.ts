import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ExampleProcess } from '../integration/example-process.ts'

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'server-client': ["{ received: { hello: 'netcore' } }", '10', 'no route /unknown', 'LINK_FAILED', 'closed'],
  blueprint: [
    ...['before /site/home', 'after /site/home', 'home'],
    ...['before /site/admin/stats', 'after /site/admin/stats', '{ denied: true }'],
    ...['before /site/admin/stats', 'after /site/admin/stats', '{ users: 3 }'],
    ...['before /site/admin/boom', 'after /site/admin/boom', "{ admin: 'no paper' }"],
    'LINK_NO_ROUTE',
  ],
  events: ['once 1', 'on 1', 'reported price broken', 'reported price broken', 'on 2'].toSorted(),
  scheduler: ['said hello', 'tick 1', 'tick 2', 'tick 3'],
  cache: ['welcome undefined', "100 Set(1) { 'loaded' } 1", 'undefined'],
}

it.each(Object.keys(EXPECTED))('the example of Netcore %s runs here, and ends by itself', async (name) => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-netcore-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const run = new ExampleProcess(`from-netcore/${name}.ts`, { cwd: folder, env: {} })
  expect(await run.end(), run.stderr).toBe(0)
  // On a slow machine, the scheduler ticks again before it has stopped.
  const lines = run.stdout
    .trimEnd()
    .split('\n')
    .filter((line) => !/^tick ([4-9]|\d\d)/.test(line))
  // Timers and concurrent listeners have no fixed order.
  const isOrdered = name !== 'events' && name !== 'scheduler'
  expect(isOrdered ? lines : lines.toSorted()).toEqual(EXPECTED[name])
})
