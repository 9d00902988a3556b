import { CompiledQuery } from 'kysely'
import { beforeEach, expect, it } from 'vitest'
import type { Claim, Run, Transition } from '../../../src/run/run.ts'
import { fenceOf } from '../../../src/store/runs/fence.ts'
import { type Store, storeOn } from '../../../src/store/store.ts'
import { describeEachStoreAndOldServer } from '../../support/databases.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'
import type { ClaimRequest } from '../../../src/store/runs/claim/claim-request.ts'
import type { Finish } from '../../../src/store/runs/finish.ts'

const NODE = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'
const succeeded: Transition = { to: 'succeeded' }

function manual(jobId: string, options: Partial<NewRun> = {}): NewRun {
  return { jobId, kind: 'manual', priority: 0, ...options }
}

function request(options: Partial<ClaimRequest> = {}): ClaimRequest {
  return { nodeId: NODE, limit: 100, limits: new Map(), ...options }
}

function only(claims: readonly Claim[]): Claim {
  expect(claims).toHaveLength(1)
  return claims[0] as Claim
}

describeEachStoreAndOldServer((fixture) => {
  let store: Store
  let now: number

  beforeEach(async () => {
    now = Date.parse('2026-03-01T12:00:00.000Z')
    store ??= storeOn(await fixture.open({ clock: { now: () => now } }))
    await fixture.empty()
  })

  const claimOne = async (options: Partial<ClaimRequest> = {}): Promise<Claim> =>
    only((await store.runs.claim(request(options))).claims)
  const refused = async (finishes: readonly Finish[]): Promise<readonly Claim[]> =>
    (await store.runs.finish(NODE, finishes)).lost

  it('returns the ids of a batch in the order of its runs', async () => {
    const ids = await store.runs.enqueue([
      manual('a', { input: 1 }),
      manual('b', { input: { deep: [2] } }),
      manual('c'),
    ])
    const runs = (await store.runs.findEach(ids)).runs
    expect(ids.map((id) => runs.find((run) => run.id === id)?.jobId)).toEqual(['a', 'b', 'c'])
    expect(runs.find((run) => run.jobId === 'b')?.input).toEqual({ deep: [2] })
    expect(runs.find((run) => run.jobId === 'c')?.input).toBeUndefined()
  })

  it.each([
    [
      'alike in every column',
      { input: "it's", config: { zone: 'Zürich' } },
      { input: "it's", config: { zone: 'Zürich' } },
    ],
    ['alike in some columns', { input: "it's", priority: 7 }, { input: 'its', priority: 7, concurrencyKey: 'a\\' }],
    ['alike in none', { input: 1, config: { a: 1 }, rateKey: 'ü' }, { priority: 3, runAt: new Date(0) }],
  ])('stores a batch of runs that are %s unchanged', async (_, one, other) => {
    const given = [one, other, one].map((options) => manual("job's", options))
    const ids = await store.runs.enqueue(given)
    const runs = new Map((await store.runs.findEach(ids)).runs.map((run) => [run.id, run]))
    expect(ids.map((id) => runs.get(id))).toMatchObject(
      given.map(({ jobId, input, config, priority }) => ({ jobId, input, config, priority })),
    )
    expect(ids.map((id) => runs.get(id)?.runAt.getTime())).toEqual(given.map(({ runAt }) => runAt?.getTime() ?? now))
  })

  it('claims by priority, then by how long a run has been due, and never before it is due', async () => {
    const at = (ms: number): Date => new Date(now + ms)
    await store.runs.enqueue([
      manual('late', { runAt: at(-1_000) }),
      manual('early', { runAt: at(-5_000) }),
      manual('urgent', { priority: -1, runAt: at(-1) }),
      manual('future', { priority: -9, runAt: at(1) }),
    ])
    const { claims } = await store.runs.claim(request())
    expect(claims.map((claim) => claim.jobId)).toEqual(['urgent', 'early', 'late'])
    now += 1
    expect((await claimOne()).jobId).toBe('future')
  })

  it('claims runs early that are due within the span, and they start at their time', async () => {
    const at = (ms: number): Date => new Date(now + ms)
    await store.runs.enqueue([
      manual('beyond', { priority: -1, runAt: at(251) }),
      manual('soon', { runAt: at(250) }),
      manual('due', { runAt: at(-5_000) }),
    ])
    const { claims } = await store.runs.claim(request({ early: { aheadMs: 250 } }))
    expect(claims.map((claim) => claim.jobId)).toEqual(['due', 'soon'])
    const [due, soon] = await Promise.all(claims.map(({ runId }) => store.runs.find(runId)))
    expect([due?.startedAt, soon?.startedAt]).toEqual([at(0), at(250)])
    // The answer to a recent claim may still arrive.
    expect(await store.runs.recoverUnheld(NODE, () => new Set(), 0)).toMatchObject({ count: 0 })
  })

  it('does not claim runs of jobs with limits early, nor any of lower priority', async () => {
    const runAt = new Date(now + 100)
    const limits = new Map([['limited', { concurrency: 1 }]])
    await store.runs.enqueue([
      manual('behind', { priority: 1, runAt }),
      manual('limited', { priority: 0, runAt }),
      manual('beside', { priority: 0, runAt }),
      manual('before', { priority: -1, runAt }),
    ])
    const early = { aheadMs: 250 }
    const first = await store.runs.claim(request({ early, limits }))
    expect(first.claims.map((claim) => claim.jobId)).toEqual(['before', 'beside'])
    expect(first.leftPriority).toBe(0)
    const except = [{ jobId: 'limited' }]
    const rest = (maxPriority: number) =>
      store.runs.claim(request({ early: { ...early, maxPriority }, limits, except }))
    expect(await rest(0)).toMatchObject({ claims: [], leftPriority: undefined })
    expect((await rest(1)).claims.map((claim) => claim.jobId)).toEqual(['behind'])
  })

  it('claims at most the limit, and each run once', async () => {
    await store.runs.enqueue(Array.from({ length: 5 }, () => manual('a')))
    const first = await store.runs.claim(request({ limit: 3 }))
    const second = await store.runs.claim(request({ nodeId: OTHER, limit: 3 }))
    expect([first.claims.length, second.claims.length]).toEqual([3, 2])
    const ids = [...first.claims, ...second.claims].map((claim) => claim.runId)
    expect(new Set(ids).size).toBe(5)
  })

  it('gives each run to one of many simultaneous claims', async () => {
    await store.runs.enqueue(Array.from({ length: 60 }, () => manual('a')))
    const results = await Promise.all(Array.from({ length: 8 }, () => store.runs.claim(request({ limit: 10 }))))
    const ids = results.flatMap((result) => result.claims.map((claim) => claim.runId))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBe(60)
  })

  it('claims only the requested jobs, or all except the excluded ones', async () => {
    await store.runs.enqueue([manual('a'), manual('b')])
    expect((await store.runs.claim(request({ only: [] }))).claims).toEqual([])
    expect((await claimOne({ except: [{ jobId: 'a' }] })).jobId).toBe('b')
    expect((await claimOne({ only: ['a'] })).jobId).toBe('a')
  })

  it('leaves runs beyond a job’s limit in the queue and names the job', async () => {
    await store.jobs.register([
      {
        id: 'a',
        description: undefined,
        schedule: null,
        windows: null,
        begin: { nextTick: undefined, windowCursor: undefined },
      },
    ])
    await store.runs.enqueue([manual('a'), manual('a'), manual('a'), manual('b')])
    const limits = new Map([['a', { concurrency: 2 }]])
    const first = await store.runs.claim(request({ limits }))
    expect(first.claims.map((claim) => claim.jobId).sort()).toEqual(['a', 'a', 'b'])
    expect(first.blocked).toEqual([{ jobId: 'a' }])
    const full = await store.runs.claim(request({ limits, nodeId: OTHER }))
    expect(full).toEqual({ claims: [], blocked: [{ jobId: 'a' }] })
    await store.runs.finish(NODE, [
      { claim: first.claims.find((claim) => claim.jobId === 'a') as Claim, transition: succeeded },
    ])
    expect((await claimOne({ limits, nodeId: OTHER })).jobId).toBe('a')
  })

  it('never exceeds a job’s limit when nodes claim simultaneously', async () => {
    await store.jobs.register([
      {
        id: 'a',
        description: undefined,
        schedule: null,
        windows: null,
        begin: { nextTick: undefined, windowCursor: undefined },
      },
    ])
    await store.runs.enqueue(Array.from({ length: 40 }, () => manual('a')))
    const limits = new Map([['a', { concurrency: 3 }]])
    const results = await Promise.all(Array.from({ length: 6 }, () => store.runs.claim(request({ limit: 5, limits }))))
    expect(results.flatMap((result) => result.claims)).toHaveLength(3)
  })

  it('raises the fence with each claim, and from one run to the next', async () => {
    const [id] = await store.runs.enqueue([manual('a')])
    const first = await claimOne()
    expect(first).toMatchObject({ runId: id, attempt: 1, fence: fenceOf(id as number, 1) })
    await store.runs.finish(NODE, [{ claim: first, transition: { to: 'queued', delayMs: 0, counted: true } }])
    const second = await claimOne()
    expect(second).toMatchObject({ attempt: 2, fence: fenceOf(id as number, 2) })
    await store.runs.enqueue([manual('a')])
    expect((await claimOne()).fence).toBeGreaterThan(second.fence)
  })

  it('stores success, its output and its times', async () => {
    const [id] = await store.runs.enqueue([manual('a')])
    const claim = await claimOne()
    now += 1_500
    expect(await refused([{ claim, transition: { to: 'succeeded', output: { rows: 3 } } }])).toEqual([])
    const run = await store.runs.find(id as number)
    expect(run).toMatchObject({ state: 'succeeded', output: { rows: 3 }, nodeId: NODE, error: undefined })
    expect(run?.finishedAt?.getTime()).toBe(now)
    expect(run?.startedAt?.getTime()).toBe(now - 1_500)
  })

  it('stores a failure with its error, and a retry with its delay', async () => {
    await store.runs.enqueue([manual('a'), manual('b')])
    const { claims } = await store.runs.claim(request())
    const [a, b] = claims as [Claim, Claim]
    const error = { name: 'Error', message: 'no such shop' }
    await store.runs.finish(NODE, [
      { claim: a, transition: { to: 'failed', error } },
      { claim: b, transition: { to: 'queued', delayMs: 2_000, counted: true, error } },
    ])
    expect(await store.runs.find(a.runId)).toMatchObject({ state: 'failed', error })
    expect(await store.runs.find(b.runId)).toMatchObject({
      state: 'queued',
      attempt: 1,
      runAt: new Date(now + 2_000),
      error,
      nodeId: undefined,
    })
    expect((await store.runs.claim(request())).claims).toEqual([])
    now += 2_000
    expect((await claimOne()).runId).toBe(b.runId)
  })

  it('does not count an interrupted attempt', async () => {
    await store.runs.enqueue([manual('a')])
    const claim = await claimOne()
    await store.runs.finish(NODE, [{ claim, transition: { to: 'queued', delayMs: 0, counted: false } }])
    expect(await claimOne()).toMatchObject({ attempt: 1, runId: claim.runId })
  })

  it('returns claims unchanged, except those that were cancelled or now belong to others', async () => {
    const runAt = new Date(now - 5_000)
    await store.runs.enqueue(['a', 'b', 'c'].map((jobId) => manual(jobId, { runAt })))
    const { claims } = await store.runs.claim(request())
    const [kept, cancelled, taken] = claims as [Claim, Claim, Claim]
    await store.cancels.request({ ids: [cancelled.runId] })
    const { db } = store.database
    await db.updateTable('piko_run').set({ node_id: OTHER }).where('id', '=', taken.runId).execute()
    const back = claims.map((claim) => ({
      claim,
      transition: { to: 'queued', delayMs: 0, at: claim.runAt, counted: false } as const,
    }))
    for (let time = 0; time < 2; time++)
      expect(await store.runs.finish(NODE, back)).toEqual({ lost: [taken], cancelled: [cancelled] })
    const runs = await Promise.all(claims.map(({ runId }) => store.runs.find(runId)))
    expect(runs[0]).toMatchObject({
      state: 'queued',
      attempt: 0,
      runAt,
      nodeId: undefined,
      fence: kept.fence,
      startedAt: undefined,
    })
    expect(runs[1]).toMatchObject({
      state: 'cancelled',
      attempt: 0,
      startedAt: undefined,
      error: { code: 'RUN_CANCELLED' },
    })
    expect(await store.attempts.list(runs[0] as Run)).toEqual([])
    expect(await store.attempts.list(runs[1] as Run)).toEqual([])
    expect(runs[2]).toMatchObject({ state: 'running', attempt: 1, nodeId: OTHER })
  })

  it('refuses the end of a replaced claim, and writes the others of the batch', async () => {
    await store.runs.enqueue([manual('a'), manual('b')])
    const { claims } = await store.runs.claim(request())
    const [stale, good] = claims as [Claim, Claim]
    await store.runs.recover()
    const again = await store.runs.claim(request({ nodeId: OTHER, limit: 1 }))
    expect(only(again.claims).runId).toBe(stale.runId)
    await store.nodes.register({ id: NODE, host: 'h', pid: 1 }, 60_000)
    const third = await claimOne({ limit: 1 })
    expect(third.runId).toBe(good.runId)
    const lost = await refused([
      { claim: stale, transition: succeeded },
      { claim: third, transition: succeeded },
    ])
    expect(lost).toEqual([stale])
    expect(await store.runs.find(stale.runId)).toMatchObject({ state: 'running', nodeId: OTHER })
    expect(await store.runs.find(third.runId)).toMatchObject({ state: 'succeeded' })
  })

  it('refuses a node’s older claim of a run that it has claimed again', async () => {
    await store.runs.enqueue([manual('a')])
    const older = await claimOne()
    await store.runs.recover()
    const newer = await claimOne()
    expect(
      await refused([{ claim: older, transition: { to: 'failed', error: { name: 'E', message: 'late' } } }]),
    ).toEqual([older])
    expect(await refused([{ claim: newer, transition: succeeded }])).toEqual([])
    expect(await store.runs.find(older.runId)).toMatchObject({ state: 'succeeded' })
  })

  it('accepts a repeated end of the same claim, for a commit whose answer was lost', async () => {
    await store.runs.enqueue([manual('a')])
    const claim = await claimOne()
    await store.runs.finish(NODE, [{ claim, transition: succeeded }])
    expect(await refused([{ claim, transition: succeeded }])).toEqual([])
  })

  it('recovers only the runs of expired and vanished nodes, without counting the attempts', async () => {
    await store.nodes.register({ id: NODE, host: 'h', pid: 1 }, 1_000)
    await store.nodes.register({ id: OTHER, host: 'h', pid: 2 }, 60_000)
    await store.runs.enqueue([manual('a'), manual('a'), manual('a')])
    const dead = await claimOne({ limit: 1 })
    const alive = await claimOne({ limit: 1, nodeId: OTHER })
    const vanished = await claimOne({ limit: 1, nodeId: '00000000-0000-4000-8000-000000000009' })
    now += 2_000
    const recovered = await store.runs.recover()
    expect(recovered.count).toBe(2)
    const state = async (claim: Claim) => (await store.runs.find(claim.runId))?.state
    expect([await state(dead), await state(alive), await state(vanished)]).toEqual(['queued', 'running', 'queued'])
    expect(await store.runs.find(dead.runId)).toMatchObject({ attempt: 0, nodeId: undefined })
    expect((await store.nodes.expired()).map((node) => node.id)).toEqual([NODE])
    const renewed = async (nodeId: string): Promise<bigint | undefined> => {
      const { sql, parameters } = store.nodes.renewal(nodeId, 1_000)
      return (await store.database.db.executeQuery(CompiledQuery.raw(sql, parameters))).numAffectedRows
    }
    expect(await renewed(NODE)).toBe(0n)
    expect(await renewed(OTHER)).toBe(1n)
  })

  it('returns runs that a node claimed long ago and does not hold, without counting the attempts', async () => {
    await store.nodes.register({ id: NODE, host: 'h', pid: 1 }, 60_000)
    await store.runs.enqueue([manual('a'), manual('a'), manual('a'), manual('a')])
    const held = await claimOne({ limit: 1 })
    const lost = await claimOne({ limit: 1 })
    const others = await claimOne({ limit: 1, nodeId: OTHER })
    now += 1_000
    const young = await claimOne({ limit: 1 })
    const fences = new Set<number>()
    const recovery = store.runs.recoverUnheld(NODE, () => fences, 500)
    // The answer of this claim arrives while recovery reads.
    fences.add(held.fence)
    expect(await recovery).toEqual({ count: 1, refused: [] })
    const states = await Promise.all([held, lost, others, young].map(async ({ runId }) => store.runs.find(runId)))
    expect(states.map((run) => run?.state)).toEqual(['running', 'queued', 'running', 'running'])
    expect(states[1]).toMatchObject({ attempt: 0, nodeId: undefined })
    expect(await refused([{ claim: lost, transition: succeeded }])).toEqual([lost])
  })

  it('refuses a second run of the same tick', async () => {
    const tick = new Date(now)
    await store.runs.enqueue([manual('a', { kind: 'scheduled', tick })])
    await expect(store.runs.enqueue([manual('a', { kind: 'scheduled', tick })])).rejects.toSatisfy((error) =>
      store.database.dialect.isDuplicate(error),
    )
    expect(await store.runs.count('a')).toMatchObject({ queued: 1 })
  })

  it('distinguishes job ids by case', async () => {
    await store.runs.enqueue([manual('Sync'), manual('sync')])
    expect(await store.runs.count('sync')).toMatchObject({ queued: 1 })
    expect((await claimOne({ only: ['Sync'] })).jobId).toBe('Sync')
  })

  it('lists runs newest first and by filter', async () => {
    await store.runs.enqueue([manual('a'), manual('b'), manual('a')])
    await store.runs.claim(request({ limit: 1 }))
    expect((await store.runs.list({ limit: 2 })).map((run) => run.jobId)).toEqual(['a', 'b'])
    expect(await store.runs.list({ jobId: 'a', state: 'running' })).toHaveLength(1)
  })

  it('refuses a value that JSON can’t represent', async () => {
    await expect(store.runs.enqueue([manual('a', { input: 1n })])).rejects.toMatchObject({ code: 'USAGE' })
  })
})
