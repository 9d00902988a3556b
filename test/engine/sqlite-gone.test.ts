import { existsSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { eventually, nextEvent, recordEvents, startApp } from '../support/app.ts'

/** Nested, so that the folder can be renamed. All of it is removed after the test. */
function newFile(): string {
  const root = mkdtempSync(join(tmpdir(), 'piko-gone-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  return join(root, 'data', 'piko.db')
}

function replace(path: string): void {
  writeFileSync(`${path}.new`, '')
  renameSync(`${path}.new`, path)
}

const settings = { piko: { lease: '2s' } }

const deeds: Record<string, { readonly deed: (path: string) => void; readonly says: string }> = {
  'the file is deleted': { deed: (path) => rmSync(path), says: 'piko.db was deleted or moved' },
  'all of its files are deleted': {
    deed: (path) => ['', '-wal', '-shm'].forEach((end) => rmSync(path + end)),
    says: 'piko.db was deleted or moved',
  },
  'the file is replaced': { deed: replace, says: 'piko.db was replaced by another file' },
  'the file is moved': { deed: (path) => renameSync(path, `${path}.old`), says: 'piko.db was deleted or moved' },
  'its folder is renamed': {
    deed: (path) => renameSync(dirname(path), `${dirname(path)}.old`),
    says: 'piko.db was deleted or moved',
  },
  'its folder is replaced by a file': {
    deed: (path) => {
      renameSync(dirname(path), `${dirname(path)}.old`)
      writeFileSync(dirname(path), '')
    },
    says: 'piko.db was deleted or moved',
  },
  'its log is deleted': { deed: (path) => rmSync(`${path}-wal`), says: 'piko.db-wal was deleted or moved' },
  'the index of its log is replaced': {
    deed: (path) => replace(`${path}-shm`),
    says: 'piko.db-shm was replaced by another file',
  },
}

it.each(Object.entries(deeds))(
  'a node stops when %s, says so once, and lets no run succeed',
  async (_name, { deed, says }) => {
    const path = newFile()
    const reasons: unknown[] = []
    const hold = defineJob({ id: 'hold' }, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      reasons.push(signal.reason)
    })
    const app = await startApp({ sqlitePath: path }, hold, { settings, stopMayFail: true })
    const crashes = recordEvents(app, 'service.crashed')
    const ends = recordEvents(app, 'run.settled')
    const started = nextEvent(app, 'run.started')
    await app.run('hold')
    await started
    const lost = nextEvent(app, 'run.lost')
    const crashed = nextEvent(app, 'service.crashed')
    const stopped = nextEvent(app, 'node.stopped')
    deed(path)
    expect((await crashed).error).toMatchObject({
      code: 'DATABASE_GONE',
      message: expect.stringContaining(says) as string,
    })
    await expect(app.enqueue('hold')).rejects.toMatchObject({ code: 'DATABASE_GONE' })
    expect((await app.health()).checks['heartbeat']).toMatchObject({ ok: false })
    await lost
    expect(reasons).toMatchObject([{ code: 'LEASE_LOST' }])
    await stopped
    expect(crashes).toHaveLength(1)
    expect(ends).toEqual([])
    await expect(app.enqueue('hold')).rejects.toMatchObject({ code: 'DATABASE_GONE' })
  },
)

it('creates no new file in place of the deleted one', async () => {
  const path = newFile()
  const app = await startApp(
    { sqlitePath: path },
    defineJob({ id: 'job' }, () => {}),
    { settings, stopMayFail: true },
  )
  const stopped = nextEvent(app, 'node.stopped')
  rmSync(path)
  await stopped
  expect(existsSync(path)).toBe(false)
})

it('a run whose handler blocks the event loop meanwhile does not succeed', async () => {
  const path = newFile()
  const block = defineJob({ id: 'block' }, () => {
    rmSync(path)
    const until = performance.now() + 5_000
    while (performance.now() < until);
  })
  const app = await startApp({ sqlitePath: path }, block, { settings, stopMayFail: true })
  const ends = recordEvents(app, 'run.settled')
  const lost = nextEvent(app, 'run.lost')
  await app.run('block')
  await lost
  expect(ends).toEqual([])
})

it('an app that executes no runs stops too', async () => {
  const path = newFile()
  const app = await startApp(
    { sqlitePath: path },
    defineJob({ id: 'job' }, () => {}),
    { settings, execute: false, stopMayFail: true },
  )
  const crashed = nextEvent(app, 'service.crashed')
  rmSync(path)
  expect(await crashed).toMatchObject({ error: { code: 'DATABASE_GONE' } })
  await expect(app.enqueue('job')).rejects.toMatchObject({ code: 'DATABASE_GONE' })
})

it('a link that leads to another file is noticed', async () => {
  const path = newFile()
  const link = join(dirname(dirname(path)), 'link.db')
  for (const file of [path, `${path}.other`]) {
    const database = await openDatabase({ sqlitePath: file })
    await migrate(database, { direction: 'up' })
    await database.close()
  }
  symlinkSync(path, link)
  const app = await startApp(
    { sqlitePath: link },
    defineJob({ id: 'job' }, () => {}),
    { settings, stopMayFail: true },
  )
  const crashed = nextEvent(app, 'service.crashed')
  rmSync(link)
  symlinkSync(`${path}.other`, link)
  expect((await crashed).error.message).toContain('link.db was replaced by another file')
})

it('the content of a deleted log is in the database once the app has stopped', async () => {
  const path = newFile()
  const app = await startApp(
    { sqlitePath: path },
    defineJob({ id: 'job' }, () => {}),
    { settings, stopMayFail: true },
  )
  const { id } = await app.run('job')
  expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded' })
  const stopped = nextEvent(app, 'node.stopped')
  rmSync(`${path}-wal`)
  await stopped
  // Its connections may still be closing. Until then, the log that they write is not the one in the folder.
  await app.stop().catch(() => {})
  const database = await openDatabase({ sqlitePath: path })
  onTestFinished(() => database.close())
  expect(await database.sql.query('SELECT state FROM piko_run WHERE id = ?', [id])).toEqual([{ state: 'succeeded' }])
})

it('other connections, checkpoints and a VACUUM are not mistaken for it', async () => {
  const path = newFile()
  const app = await startApp(
    { sqlitePath: path },
    defineJob({ id: 'job' }, () => {}),
    { settings },
  )
  const crashes = recordEvents(app, 'service.crashed')
  const renewals = async (): Promise<unknown> => app.sql.query('SELECT heartbeat_at FROM piko_node')
  for (const statement of ['PRAGMA wal_checkpoint(TRUNCATE)', 'VACUUM']) {
    const other = await openDatabase({ sqlitePath: path })
    await other.retry(() => other.sql.query(statement)).catch(() => {})
    await other.close()
    const before = await renewals()
    await eventually(async () => expect(await renewals()).not.toEqual(before))
  }
  expect(crashes).toEqual([])
})
