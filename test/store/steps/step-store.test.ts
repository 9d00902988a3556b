import { sql } from 'kysely'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Claim } from '../../../src/run/run.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import type { NewStep } from '../../../src/store/steps/new-step.ts'
import { StepStore } from '../../../src/store/steps/step-store.ts'
import { exactKey } from '../../../src/store/values/exact-key.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'
import { REFUSAL, refuseRows } from '../../support/refusing.ts'

const NODE = '00000000-0000-4000-8000-000000000001'

describeEachStore((fixture) => {
  let database: Database
  let store: Store

  beforeEach(async () => {
    database ??= await fixture.open()
    store ??= storeOn(database)
    await fixture.empty()
  })

  async function claims(count = 1): Promise<Claim[]> {
    await store.runs.enqueue(
      Array.from({ length: count }, () => ({ jobId: 'work', kind: 'manual' as const, priority: 0 })),
    )
    return [...(await store.runs.claim({ nodeId: NODE, limit: count, limits: new Map() })).claims]
  }

  const stepOf = (claim: Claim, name: string, seq = 1, more: Partial<NewStep> = {}): NewStep => ({
    ...{ nodeId: NODE, claim, name, seq, result: JSON.stringify(name), ms: 5, tries: 1, isFinished: true },
    ...more,
  })

  const requeue = (runId: number): Promise<unknown> =>
    database.db.updateTable('piko_run').set({ state: 'queued', node_id: null }).where('id', '=', runId).execute()

  const valuesOf = async (runId: number): Promise<Record<string, unknown>> => {
    const steps = await store.steps.stored(runId)
    const values = [...steps].map(async ([name, step]) => [name, (await step.read())?.value] as const)
    return Object.fromEntries(await Promise.all(values))
  }

  describe('steps of a run', () => {
    it('are stored together under names that stay different, and read with their results', async () => {
      const [claim] = (await claims()) as [Claim]
      const names = ['a', 'A', 'a ', 'a\u0001', 'ä', 'page:1', '🜁', "o'clock", 'back\\slash', 'a?b']
      const steps = names.map((name, index) => stepOf(claim, name, index))
      expect(await store.steps.add(steps)).toEqual(names.map(() => 'stored'))
      const none = stepOf(claim, 'none', 99, { result: null })
      expect(await store.steps.add([none])).toEqual(['stored'])
      expect(await valuesOf(claim.runId)).toEqual({
        ...Object.fromEntries(names.map((name) => [name, name])),
        none: undefined,
      })
      expect((await store.steps.list(claim.runId)).map(({ name }) => name)).toEqual([...names, 'none'])
      expect((await store.steps.list(claim.runId))[0]).toMatchObject({
        ...{ name: 'a', attempt: 1, tries: 1, ms: 5, waitingSince: undefined },
        finishedAt: expect.any(Date) as Date,
      })
    })

    it('are read with their results only up to a size, and the others when they are asked for', async () => {
      const [claim] = (await claims()) as [Claim]
      const many = Array.from({ length: 2_500 }, (_, index) => stepOf(claim, `many ${index}`, index))
      const large = stepOf(claim, 'large', 9_999, { result: JSON.stringify('ä'.repeat(500_000)) })
      await store.steps.add([...many, large])
      const change = (name: string): Promise<unknown> =>
        database.db.updateTable('piko_step').set({ result: '"changed"' }).where('name', '=', exactKey(name)).execute()
      for (const [steps, isTogether] of [
        [store.steps, true],
        [new StepStore(database, 0), false],
      ] as const) {
        const stored = await steps.stored(claim.runId)
        expect(stored.size).toBe(2_501)
        expect(await stored.get('many 1')?.read()).toEqual({ value: isTogether ? 'many 1' : 'changed' })
        for (const name of ['many 1', 'large']) await change(name)
        expect(await stored.get('large')?.read()).toEqual({ value: 'changed' })
      }
      const stored = await store.steps.stored(claim.runId)
      await store.steps.add([{ ...large, name: 'again' }])
      expect(await (await store.steps.stored(claim.runId, 'again')).get('again')?.read()).toEqual({
        value: 'ä'.repeat(500_000),
      })
      expect(stored.get('again')).toBeUndefined()
    })

    it('are refused for a claim that is no longer valid, and stored for the others of the batch', async () => {
      const all = await claims(5)
      const lost = new Set([all[1], all[4]])
      for (const claim of lost) await requeue(claim!.runId)
      const foreign = stepOf(all[0]!, 'foreign', 1, { nodeId: NODE.replace(/1$/, '2') })
      expect(await store.steps.add([...all.map((claim) => stepOf(claim, 'a')), foreign])).toEqual([
        ...all.map((claim) => (lost.has(claim) ? 'lost' : 'stored')),
        'lost',
      ])
      for (const claim of all) expect(await valuesOf(claim.runId)).toEqual(lost.has(claim) ? {} : { a: 'a' })
    })

    it('may be written again after a lost answer, and replace the row of an earlier claim', async () => {
      const [first] = (await claims()) as [Claim]
      await store.steps.add([stepOf(first, 'a', 1, { result: '"first"' })])
      await store.steps.add([stepOf(first, 'a', 1, { result: '"first"' })])
      expect(await valuesOf(first.runId)).toEqual({ a: 'first' })
      await requeue(first.runId)
      const [second] = (await store.runs.claim({ nodeId: NODE, limit: 1, limits: new Map() })).claims as [Claim]
      expect(second.fence).toBe(first.fence + 1)
      expect(await store.steps.add([stepOf(first, 'a'), stepOf(second, 'a', 1, { result: '"second"' })])).toEqual([
        'lost',
        'stored',
      ])
      expect(await valuesOf(first.runId)).toEqual({ a: 'second' })
    })

    it('fail alone when the database refuses them', async () => {
      const all = await claims(4)
      onTestFinished(await refuseRows(database, 'piko_step', 'INSERT', "NEW.name = 'poison'"))
      const stored = await store.steps.add(all.map((claim, index) => stepOf(claim, index === 2 ? 'poison' : 'a')))
      expect(stored.map((one) => (typeof one === 'object' ? String(one.refusal) : one))).toEqual([
        ...['stored', 'stored'],
        expect.stringContaining(REFUSAL),
        'stored',
      ])
    })

    it('are deleted with their run', async () => {
      const [claim] = (await claims()) as [Claim]
      await store.steps.add([stepOf(claim, 'a')])
      await store.runs.finish(NODE, [{ claim, transition: { to: 'succeeded' } }])
      const filter = { olderThanMs: 0, states: ['succeeded' as const] }
      expect(await store.retention.step(filter, 0)).toMatchObject({ count: 1 })
      expect(await database.sql.query('SELECT name FROM piko_step')).toEqual([])
    })
  })

  if (fixture.name === 'mysql') {
    it('a step waits for a transaction that takes its run away, and is refused then', async () => {
      const [claim] = (await claims()) as [Claim]
      let adding: Promise<unknown> | undefined
      await database.transaction(async (trx) => {
        await trx
          .updateTable('piko_run')
          .set({ state: 'queued', node_id: null })
          .where('id', '=', claim.runId)
          .execute()
        adding = store.steps.add([stepOf(claim, 'a')])
        await sql`SELECT SLEEP(0.2)`.execute(trx)
      })
      expect(await adding).toEqual(['lost'])
      expect(await valuesOf(claim.runId)).toEqual({})
    })
  }

  describe('a replay', () => {
    async function failed(): Promise<Claim> {
      const [claim] = (await claims()) as [Claim]
      const names = ['count', 'load', 'report']
      // All in one statement: they finished at the same instant.
      await store.steps.add(names.map((name, index) => stepOf(claim, name, index)))
      const waiting = { waitingSince: 'now', isFinished: false, result: null } as const
      await store.steps.add([stepOf(claim, 'ready', 4, waiting)])
      const error = { name: 'Error', message: 'no' }
      await store.runs.finish(NODE, [{ claim, transition: { to: 'failed', error } }])
      return claim
    }

    it('keeps the steps and lets a wait begin anew', async () => {
      const { runId } = await failed()
      expect(await store.replays.replay({ ids: [runId] })).toEqual({ count: 1, superseded: 0 })
      expect(await valuesOf(runId)).toEqual({ count: 'count', load: 'load', report: 'report' })
    })

    it('from a step forgets it and what finished after it, of the runs that it replays', async () => {
      const [one, other] = [await failed(), await failed()]
      const ids = [one.runId, other.runId]
      await database.db.deleteFrom('piko_step').where('run_id', '=', other.runId).where('name', '=', 'load').execute()
      expect(await store.replays.preview({ ids }, 'load')).toEqual({ count: 2, superseded: 0, forgotten: 3 })
      expect(await store.steps.isKnown(ids, 'load')).toBe(true)
      const many = Array.from({ length: 40_000 }, (_, index) => 1_000_000 + index)
      expect(await store.steps.isKnown([...many, ...ids], 'load')).toBe(true)
      expect(await store.steps.isKnown(many, 'load')).toBe(false)
      const replayed = await store.replays.replay({ ids }, 'load')
      expect(replayed).toEqual({ count: 2, superseded: 0, forgotten: 3 })
      expect(await valuesOf(one.runId)).toEqual({ count: 'count' })
      expect(await valuesOf(other.runId)).toEqual({ count: 'count', report: 'report' })
      // It is queued: nothing to replay, so nothing to forget.
      expect(await store.replays.replay({ ids }, 'count')).toEqual({ count: 0, superseded: 0, forgotten: 0 })
      expect(await valuesOf(one.runId)).toEqual({ count: 'count' })
    })
  })
})
