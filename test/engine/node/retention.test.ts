import { expect, it, onTestFinished } from 'vitest'
import { Events } from '../../../src/events.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Retention } from '../../../src/engine/node/retention.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { RetentionStore } from '../../../src/store/history/retention-store.ts'
import { chunksOf } from '../../../src/store/statements/chunks.ts'
import { storeOn } from '../../../src/store/store.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const MINUTE_MS = 60_000

describeEachStore((fixture) => {
  it('walks over a long history again only when it has grown by a tenth, or after a quarter of an hour', async () => {
    const database = await fixture.open()
    const store = storeOn(database)
    const enqueueEnded = async (count: number): Promise<void> => {
      const runs = Array.from({ length: count }, () => ({ jobId: 'sync', kind: 'manual', priority: 0 }) as const)
      await store.cancels.request({ ids: await store.runs.enqueue(runs) })
    }
    const kept = async (): Promise<number> => (await store.runs.list({ limit: 1_000 })).length
    const clock = new ManualClock()
    const events = new Events()
    const retention = new Retention({
      store: store.retention,
      rows: { step: () => Promise.resolve(false) },
      batches: store.batches,
      leader: { isLeader: true, onLead: () => () => {} },
      history: { keepSucceededMs: 0, keepFailedMs: 0, keepRuns: 100 },
      ...{ clock, events },
      loops: new LoopHealth({ clock, events }),
    })
    await enqueueEnded(120)
    await retention.start()
    onTestFinished(() => retention.stop())
    await eventually(async () => expect(await kept()).toBe(100))

    const pass = async (ms: number): Promise<void> => {
      await eventually(() => expect(clock.sleeping).toBe(1))
      clock.advance(ms)
      await eventually(() => expect(clock.sleeping).toBe(1))
    }
    await enqueueEnded(12)
    await pass(MINUTE_MS)
    expect(await kept()).toBe(112)
    await enqueueEnded(1)
    await pass(15 * MINUTE_MS)
    await eventually(async () => expect(await kept()).toBe(100))
    await enqueueEnded(12)
    await pass(MINUTE_MS)
    await eventually(async () => expect(await kept()).toBe(100))
  })

  it('deletes runs with many steps in several transactions, and the steps of one run in parts', async () => {
    const database = await fixture.open()
    await fixture.empty()
    const store = storeOn(database)
    const ids = await store.runs.enqueue(
      Array.from({ length: 4 }, () => ({ jobId: 'sync', kind: 'manual', priority: 0 }) as const),
    )
    await store.cancels.request({ ids })
    const stepsOf = (runId: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...{ run_id: runId, name: Buffer.from(`step ${index}`).toString(), fence: 1, seq: index, attempt: 1 },
        ...{ result: '1', ms: 0, tries: 1, finished_at: database.dialect.instant(new Date()) },
      }))
    for (const [index, count] of [3_000, 6_000, 3_000, 0].entries())
      for (const some of chunksOf(stepsOf(ids[index]!, count), 1_000))
        await database.db.insertInto('piko_step').values(some).execute()
    let transactions = 0
    const counted: Database = {
      ...database,
      transaction: (fn) => {
        transactions += 1
        return database.transaction(fn)
      },
    }
    const retention = new RetentionStore(counted)
    expect(await retention.step({ olderThanMs: 0, states: ['cancelled'] }, 0)).toMatchObject({ count: 4, refused: [] })
    expect(transactions).toBe(3)
    for (const table of ['piko_step', 'piko_run'])
      expect(await database.sql.query(`SELECT count(*) AS n FROM ${table}`)).toEqual([{ n: 0 }])
  })
})
