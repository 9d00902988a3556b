import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { eventually } from '../support/app.ts'
import { cleanEnv, SOURCE_FLAGS } from '../support/source-process.ts'
import { seeded } from './random.ts'

const NODE = fileURLToPath(new URL('../fixtures/engine/sqlite-node.ts', import.meta.url))
const SECONDS = 25
const FENCE_FACTOR = 65_536

it('two processes on one SQLite file survive kills, freezes and deploys', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-sqlite-chaos-'))
  const path = join(folder, 'piko.db')
  const database = await openDatabase({ sqlitePath: path })
  await migrate(database, { direction: 'up' })
  await database.sql.exec('CREATE TABLE effect (window_start TEXT NOT NULL, fence INTEGER NOT NULL)')
  await database.sql.exec('CREATE TABLE item_effect (window_start TEXT NOT NULL, n INTEGER NOT NULL)')
  const windowsStart = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 10_000).toISOString()
  const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const random = seeded(seed)

  const start = (): ChildProcess => {
    return spawn(process.execPath, [...SOURCE_FLAGS, NODE, JSON.stringify({ path, windowsStart })], {
      env: cleanEnv(),
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
  const nodes = [start(), start()]
  onTestFinished(async () => {
    for (const node of nodes) node.kill('SIGKILL')
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const faults = { kill: 0, freeze: 0, deploy: 0 }
  const until = performance.now() + SECONDS * 1_000
  while (performance.now() < until) {
    await sleep(500 + 1_500 * random())
    const index = Math.floor(random() * nodes.length)
    const node = nodes[index]!
    const kind = (['kill', 'freeze', 'deploy'] as const)[Math.floor(random() * 3)]!
    faults[kind] += 1
    if (kind === 'freeze') {
      node.kill('SIGSTOP')
      // Longer than the lease, so the process becomes a zombie.
      await sleep(2_500)
      node.kill('SIGCONT')
    } else {
      const gone = once(node, 'exit')
      node.kill(kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
      await gone
      nodes[index] = start()
    }
  }

  const rows = (text: string) => database.sql.query<Record<string, string | number>>(text)
  const succeededWindows = () =>
    rows(
      `SELECT job_id, COUNT(*) AS windows FROM piko_window WHERE state = 'succeeded' GROUP BY job_id ORDER BY job_id`,
    )
  // On a busy machine, a process may be ended before it has executed anything.
  await eventually(async () => {
    const succeeded = await succeededWindows()
    expect(succeeded.map(({ job_id }) => job_id)).toEqual(['committed', 'walked'])
    for (const { windows } of succeeded) expect(windows).toBeGreaterThan(10)
  })
  const [{ last } = { last: 0 }] = await rows('SELECT MAX(id) AS last FROM piko_run')
  const open = `SELECT id, job_id, state FROM piko_run WHERE id <= ${last} AND state IN ('queued', 'running')`
  await eventually(async () => expect(await rows(open)).toEqual([]))
  for (const node of nodes) node.kill('SIGTERM')
  await Promise.all(nodes.map(async (node) => node.exitCode ?? (await once(node, 'exit'))))

  const told = `seed ${seed}, ${JSON.stringify(faults)}`
  const none = async (text: string): Promise<void> => expect(await rows(text), told).toEqual([])
  await none(`SELECT id, error FROM piko_run WHERE state IN ('failed', 'cancelled')`)
  await none(`SELECT window_start, COUNT(*) AS effects FROM effect GROUP BY window_start HAVING effects <> 1`)
  await none(
    `SELECT w.start_at, w.state, e.fence, w.fence AS expected FROM piko_window w LEFT JOIN effect e ON e.window_start = w.start_at
     WHERE w.job_id = 'committed' AND w.state = 'succeeded' AND (e.fence IS NULL OR e.fence <> w.fence)`,
  )
  await none(
    `SELECT e.window_start FROM effect e LEFT JOIN piko_window w ON w.job_id = 'committed' AND w.start_at = e.window_start
     WHERE w.state IS NOT 'succeeded'`,
  )
  await none(
    `SELECT w.start_at, COUNT(e.n) AS items, COUNT(DISTINCT e.n) AS kinds FROM piko_window w
     LEFT JOIN item_effect e ON e.window_start = w.start_at
     WHERE w.job_id = 'walked' AND w.state = 'succeeded' GROUP BY w.start_at HAVING items <> 7 OR kinds <> 7`,
  )
  await none(
    `SELECT i.id, i.state FROM piko_item i JOIN piko_item_run g ON g.fence = i.fence JOIN piko_run r ON r.id = g.run_id
     WHERE r.state = 'succeeded' AND i.state <> 'done'`,
  )
  await none(
    `SELECT w.start_at FROM piko_window w JOIN piko_run r ON r.id = w.run_id
     WHERE w.state = 'succeeded' AND w.fence <> r.id * ${FENCE_FACTOR} + r.claims`,
  )
  await none(`SELECT tick, COUNT(*) AS runs FROM piko_run WHERE job_id = 'ticking' GROUP BY tick HAVING runs > 1`)
})
