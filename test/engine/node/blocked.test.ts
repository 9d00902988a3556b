import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import { openDatabase } from '../../../src/store/connection/database.ts'
import { migrate } from '../../../src/store/migration/migrate.ts'
import { eventually, nextEvent, recordEvents, startApp, testSettings } from '../../support/app.ts'
import { createSqliteFile, describeEachStore } from '../../support/databases.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../support/source-process.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

const LOST_AND_STOPPED = fileURLToPath(new URL('../../fixtures/engine/lost-and-stopped.ts', import.meta.url))

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

describeEachStore((fixture) => {
  const settings = (more: { max_block: string; end_when_blocked?: boolean }) =>
    testSettings(fixture.options, { piko: { lease: '2s', ...more } })

  it('ends a process whose event loop is blocked for good and says so; another node executes the run', async () => {
    await fixture.open()
    await fixture.empty()
    const child = new WorkerProcess({ mode: 'block', settings: settings({ max_block: '1s' }) })
    await child.told('started')
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'work' }, () => {}),
      { execute: false },
    )
    const id = await app.enqueue('work')
    await child.told(`running ${id}`)
    const { code, stderr } = await child.end()
    expect(code).toBe('SIGABRT')
    expect(stderr).toContain('the event loop has been blocked for 1 s ([piko] max_block)')
    expect(stderr).toContain('the process ends itself with SIGABRT')
    await startApp(
      fixture.options,
      defineJob({ id: 'work' }, () => {}),
      { settings: settings({ max_block: '0s' }) },
    )
    await eventually(async () => expect(await app.runs.show(id)).toMatchObject({ state: 'succeeded' }))
  })

  it('continues under a new id if the event loop turns again after the lease was given up', async () => {
    const database = await fixture.open()
    await fixture.empty()
    let calls = 0
    const job = defineJob({ id: 'parse' }, ({ signal }) => {
      if (++calls > 1) return
      block(3_000)
      expect(signal.aborted).toBe(false)
    })
    const app = await startApp(fixture.options, job, {
      settings: settings({ max_block: '500ms', end_when_blocked: false }),
    })
    const before = await database.db.selectFrom('piko_node').select('id').executeTakeFirstOrThrow()
    const lost = nextEvent(app, 'node.lost')
    const { id } = await app.run('parse')
    expect(await lost).toMatchObject({ nodeId: before.id })
    expect(await app.waitFor(id)).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(calls).toBe(2)
    // Happens again, because the new id has a new watch.
    const again = nextEvent(app, 'node.lost')
    calls = 0
    await app.run('parse')
    await again
  })

  it('keeps its lease during short blocks whose sum exceeds the longest tolerated one', async () => {
    await fixture.open()
    await fixture.empty()
    const job = defineJob({ id: 'parse' }, async () => {
      for (let part = 0; part < 10; part++) {
        block(300)
        await sleep(200)
      }
    })
    const app = await startApp(fixture.options, job, { settings: settings({ max_block: '3s' }) })
    const lost = recordEvents(app, 'node.lost')
    expect(await app.run('parse', { wait: true })).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(lost).toEqual([])
  })

  it('does not end a process that was suspended', async () => {
    await fixture.open()
    await fixture.empty()
    const child = new WorkerProcess({ mode: 'churn', settings: settings({ max_block: '1s' }) })
    await child.told('started')
    const app = await startApp(
      fixture.options,
      defineJob({ id: 'work' }, () => {}),
      { execute: false },
    )
    child.signal('SIGSTOP')
    await sleep(5_000)
    child.signal('SIGCONT')
    const id = await app.enqueue('work')
    await eventually(async () => expect(await app.runs.show(id)).toMatchObject({ state: 'succeeded' }))
    await child.kill()
    expect((await child.end()).stderr).not.toContain('blocked')
  })
})

it('does not end a process for a node that stopped as soon as its lease was lost', async () => {
  const { path, remove } = createSqliteFile()
  onTestFinished(remove)
  const database = await openDatabase({ sqlitePath: path })
  await migrate(database, { direction: 'up' })
  await database.close()
  const child = spawn(process.execPath, [...SOURCE_FLAGS, LOST_AND_STOPPED, path], { env: cleanEnv() })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child, 'close')
  expect({ code: child.exitCode, signal: child.signalCode, said }).toEqual({ code: 0, signal: null, said: 'alive\n' })
})
