import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
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

test('the asyncio sheet prints its numbers and ends by itself', async () => {
  const run = new ExampleProcess('from-python/async.ts', { cwd: emptyFolder(), env: {} })
  expect(await run.end(), run.stderr).toBe(0)
  // On a busy machine, loading the modules of the app blocks the event loop, and the log says so.
  expect(run.stderr.replaceAll(/^.*the event loop was blocked.*\n/gm, '')).toBe('')
  const seconds = '(\\d+\\.\\d)'
  const lines = [
    'gather: a, b, Error: no c',
    `first: mirror 2 in ${seconds} s, 4 aborted`,
    'completed: 100, 200, 300',
    'bounded: 10 calls, at most 3 at the same time',
    'timeout: TIMEOUT, the call did not end within 1.0s; the server saw its socket close',
    'requests: 29 answers, at most 10 at the same time; failed: /missing with 404',
    'posted: POST /orders \{"id":7\}',
    `retry: done after 3 calls in ${seconds} s`,
    `rate: 10 calls in ${seconds} s, at most 5 in any second`,
    'channel: 10000 values, 10000 different, at most 10 held',
    'queue: alert, sync, report',
    'single: 11 callers, 1 call',
    'breaker: 3 calls made, 2 refused',
    'bulkhead: 3 of 4 calls ran',
    'batches: 1000, 1000, 500',
    'loop: blocked by parseLargeFile of async.ts',
    'job: 6 pages in 7 calls, at most 3 at the same time; near',
  ]
  const found = run.stdout.split('\n')
  expect(found).toHaveLength(lines.length)
  const times = lines.flatMap((line, index) => {
    const match = new RegExp(`^${line}$`).exec(found[index] ?? '')
    expect(match, found[index]).not.toBeNull()
    return match?.slice(1).map(Number) ?? []
  })
  // The fastest mirror takes 0.1 s, the back-off 1.5 s, ten calls at 5/s 1.0 s; the others only show that nothing hangs.
  for (const [index, least] of [0.1, 1.5, 1].entries()) {
    expect(times[index]).toBeGreaterThanOrEqual(least)
    expect(times[index]).toBeLessThan(10 * least + 60)
  }
})

test('the examples of the Python README print their numbers and end by themselves', async () => {
  const run = new ExampleProcess('from-python/readme.ts', { cwd: emptyFolder(), env: {} })
  expect(await run.end(), run.stderr).toBe(0)
  expect(run.stdout.split('\n')).toEqual([
    'runs: 1000 succeeded, 1000 configs',
    'pool: 500 runs, at most 50 connections, 0 left',
    'cpu: 200000 flights',
    'sink: 3 orders, 1 refund',
    'windows: 31 days',
  ])
})

test('the page on Python shows the programs as they run', () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const page = read('docs/from-python.md')
  const programs = ['from-python/readme', 'from-python/async', 'server']
    .map((name) => read(`examples/${name}.ts`))
    .join('\n')
  const program = programs.replaceAll(/^ +/gm, '')
  const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code.replaceAll(/^ +/gm, ''))
  expect(blocks.length).toBeGreaterThanOrEqual(15)
  for (const block of blocks) expect(program).toContain(block)
})
