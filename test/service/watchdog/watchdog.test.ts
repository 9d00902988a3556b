import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Blocked, shownFrames, Watchdog } from '../../../src/service/watchdog/watchdog.ts'
import { PATIENCE_MS } from '../../support/patience.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const fixture = fileURLToPath(new URL('../../fixtures/service/blocking.ts', import.meta.url))
const source = readFileSync(fixture, 'utf8').split('\n')
const run = promisify(execFile)

/** The process must end by itself: a running watchdog does not keep it alive. */
async function blocked(what: string, loader: readonly string[]): Promise<Blocked[]> {
  const { stdout } = await run(process.execPath, [...loader, fixture, what], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: PATIENCE_MS,
  })
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Blocked]))
}

describe.each([
  ['under tsx', ['--import', 'tsx']],
  ["on Node's own type stripping", []],
])('%s', (_name, loader) => {
  it('names the function that blocks the event loop, its file and line, and for how long', async () => {
    // A busy machine may hold up the process elsewhere too, which is reported without this function.
    const reports = (await blocked('js', loader)).filter(({ culprit }) => culprit?.functionName === 'parseHugeFile')
    expect(reports).toMatchObject([{ culprit: { functionName: 'parseHugeFile' } }])
    const [{ blockedMs = 0, culprit } = {}] = reports
    // On a busy machine the thread starts late, and measures from there.
    expect(blockedMs).toBeGreaterThan(500)
    expect(blockedMs).toBeLessThan(25_000)
    expect(culprit).toMatchObject({ functionName: 'parseHugeFile', file: fixture })
    expect(source[(culprit?.line ?? 0) - 1]).toContain('while (usedMs() - begin')
  })
})

it('names the caller, not the slow part of Node', async () => {
  const [report] = await blocked('native', [])
  expect(report?.culprit).toMatchObject({ functionName: 'hashSlowly', file: fixture })
  expect(report?.stack.map((frame) => frame.functionName)).toContain('pbkdf2Sync')
})

it('shows at most ten frames of a deep stack, those of the user first', () => {
  const frame = (functionName: string, file: string) => ({ functionName, file, line: 1, column: 1 })
  const packages = Array.from({ length: 30 }, (_, n) => frame(`inner${n}`, '/app/node_modules/library/index.js'))
  const own = [frame('parse', '/app/src/parse.ts'), frame('handler', '/app/src/job.ts')]
  const node = [frame('processTicksAndRejections', 'node:internal/process/task_queues')]
  const shown = shownFrames([...packages, ...own, ...node]).map(({ functionName }) => functionName)
  expect(shown).toEqual(['parse', 'handler', ...Array.from({ length: 8 }, (_, n) => `inner${n}`)])
  expect(shownFrames(own)).toEqual(own)
})

it('only measures under --permission, because Node would abort the process for using the inspector', async () => {
  const flags = ['--permission', '--allow-worker', '--allow-fs-read=*']
  const [report] = await blocked('js', flags)
  expect(report).toMatchObject({ stack: [] })
  expect(report?.blockedMs).toBeGreaterThan(500)
})

it('does not report a block shorter than the threshold', async () => {
  expect(await blocked('short', [])).toEqual([])
})

it('stays silent while the machine has no processor for the process', { timeout: PATIENCE_MS }, async () => {
  const { stdout, stderr } = await run(process.execPath, [fixture, 'starved'], { cwd: root, timeout: PATIENCE_MS })
  // Its 30 ms of work took longer than the threshold of 200 ms.
  expect(Number(stderr)).toBeGreaterThan(200)
  expect(stdout).toBe('')
})

it('also reports in this process, again after a restart, and logs the place', async () => {
  const lines: string[] = []
  const nothing = (): void => undefined
  const log = {
    ...{ trace: nothing, debug: nothing, info: nothing, error: nothing },
    warn: (text: object | string) => void lines.push(text as string),
  }
  function spinOnPurpose(ms: number): void {
    const begin = process.threadCpuUsage().user
    while (process.threadCpuUsage().user - begin < ms * 1_000);
  }
  const watchdog = new Watchdog({ threshold: '100ms', log })
  for (const life of [1, 2]) {
    await watchdog.restart()
    // The first blocks may come before the thread is up.
    await expect
      .poll(
        () => {
          spinOnPurpose(300)
          return lines.length
        },
        { interval: 100 },
      )
      .toBeGreaterThanOrEqual(life)
    expect(lines.at(-1)).toMatch(
      /^\[\^Watchdog\]: event loop blocked for \d+ ms by spinOnPurpose \(.*watchdog\.test\.ts:\d+:\d+\)$/,
    )
    lines.length = life
  }
  await watchdog.stop()
})

it('refuses a threshold of 0', () => {
  expect(() => new Watchdog({ threshold: '0ms' })).toThrow('threshold is "0ms"; expected a length of time above 0')
})
