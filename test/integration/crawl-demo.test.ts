import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { DAYS, readSiteData, TICKETS } from '../../examples/crawl/data.ts'
import { startSite } from '../../examples/crawl/site.ts'
import { ExampleProcess } from './example-process.ts'

const MOVIES = 200
/** How many days are crawled at the same time. */
const PARALLEL = 4

test('the crawl demo is killed in the middle, continues where it stopped, and its tables equal the data', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'piko-crawl-demo-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  const site = await startSite(readSiteData(MOVIES))
  onTestFinished(() => site.close())
  const env = {
    PIKO_SQLITE__PATH: join(cwd, 'demo.db'),
    PIKO_LEASE: '2s',
    CINEMA_MOVIES: String(MOVIES),
    CINEMA_URL: site.cinema,
    RATINGS_URL: site.ratings,
  }
  const killed = new ExampleProcess('crawl/main.ts', { cwd, env })
  await killed.line((line) => (/^ {2}[1-9]\d* of 10 days/.test(line) ? true : undefined))
  killed.kill('SIGKILL')
  expect(await killed.end()).toBe('SIGKILL')
  const second = new ExampleProcess('crawl/main.ts', { cwd, env, args: ['--json'] })
  expect(await second.end(), second.stdout + second.stderr).toBe(0)
  expect(JSON.parse(second.stdout)).toEqual({ days: DAYS, failed: 0, mismatches: [] })
  // The feed broke in the middle of each day. Only the days that were under way at the kill may have asked otherwise.
  const continued = [...site.feed.values()].filter((asked) => asked.join() === `0,${TICKETS / 2}`)
  expect(site.feed.size).toBe(DAYS)
  expect(continued.length, JSON.stringify([...site.feed])).toBeGreaterThanOrEqual(DAYS - PARALLEL)
})
