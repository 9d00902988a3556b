import { DatabaseSync } from 'node:sqlite'
import { beforeEach, expect, it, onTestFinished } from 'vitest'
import type { LiveEvent } from '../../src/live/live-event.ts'
import { type Store, storeOn } from '../../src/store/store.ts'
import type { NewRun } from '../../src/store/runs/new-run.ts'
import type { Claim } from '../../src/run/run.ts'
import { eventually } from '../support/app.ts'
import { describeEachStore, describeSqlite } from '../support/databases.ts'

const NODE = '00000000-0000-4000-8000-00000000000a'
const SPAN = 600_000

const run = (jobId: string, more: Partial<NewRun> = {}): NewRun => ({ jobId, kind: 'manual', priority: 0, ...more })

/** All events after an id, with every row that has committed. */
async function read(store: Store, after: number): Promise<{ events: LiveEvent[]; isExceeded: boolean }> {
  while (await store.events.number());
  const events: LiveEvent[] = []
  for (let from = after; ;) {
    const page = await store.events.after(from)
    events.push(...page.events)
    if (page.isExceeded || page.next === from) return { events, isExceeded: page.isExceeded }
    from = page.next
  }
}

const told = (events: readonly LiveEvent[]): string[] =>
  events.map((event) => (event.kind === 'run' ? `${event.runId} ${event.state} ${event.attempt}` : event.kind))

describeEachStore((fixture) => {
  let store: Store
  let other: Store
  let start: number

  beforeEach(async () => {
    store ??= storeOn(await fixture.open())
    other ??= storeOn(await fixture.open())
    await fixture.empty()
    await store.events.listen(SPAN)
    other.database.recording.heard(true)
    start = (await store.events.head()).last
  })

  const claim = (limit = 10) => store.runs.claim({ nodeId: NODE, limit, limits: new Map() })

  it('records the life of runs in order, with consecutive ids', async () => {
    const [one, two] = (await store.runs.enqueue([
      run('a'),
      run('a', { runAt: new Date('2026-01-01T00:00:00Z') }),
    ])) as [number, number]
    const { claims } = await claim()
    const byId = new Map(claims.map((each) => [each.runId, each]))
    await store.runs.finish(NODE, [
      { claim: byId.get(one)!, transition: { to: 'succeeded' }, configVersion: undefined },
      {
        claim: byId.get(two)!,
        transition: { to: 'failed', error: { name: 'Error', message: 'no shop "eu"' } },
        configVersion: undefined,
      },
    ])
    await store.replays.replay({ ids: [two] })
    await store.cancels.request({ ids: [two] })
    const { events, isExceeded } = await read(store, start)
    expect(isExceeded).toBe(false)
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => start + 1 + index))
    expect(told(events.filter((event) => event.kind === 'run' && event.runId === two))).toEqual([
      `${two} queued 0`,
      `${two} running 1`,
      `${two} failed 1`,
      `${two} queued 0`,
      `${two} cancelled 0`,
    ])
    expect(told(events.filter((event) => event.kind === 'run' && event.runId === one))).toEqual([
      `${one} queued 0`,
      `${one} running 1`,
      `${one} succeeded 1`,
    ])
    expect(events.find((event) => event.kind === 'run' && event.state === 'failed')).toMatchObject({
      kind: 'run',
      jobId: 'a',
      error: 'no shop "eu"',
      nodeId: NODE,
    })
  })

  it('shows a change that commits late to readers that have passed it', async () => {
    if (fixture.name === 'sqlite') return
    let release = (): void => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    let begin = (): void => {}
    const begun = new Promise<void>((resolve) => (begin = resolve))
    const late = other.database.sql.transaction(async (trx) => {
      await other.enqueueIn(trx, [run('late')])
      begin()
      await held
    })
    await begun
    await store.runs.enqueue([run('early')])
    const first = await read(store, start)
    expect(first.events.map((event) => 'jobId' in event && event.jobId)).toEqual(['early'])
    release()
    await late
    const then = await read(store, first.events.at(-1)!.id)
    expect(then.events).toMatchObject([{ id: start + 2, kind: 'run', jobId: 'late', state: 'queued' }])
  })

  it('gives every event one number, however many readers number and writers write', async () => {
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let index = 0; index < 15; index++)
        await (writer % 2 ? store : other).runs.enqueue([run(`w${writer}`), run(`w${writer}`)])
    })
    let isDone = false
    const seen: LiveEvent[][] = [[], []]
    const readers = [store, other].map(async (each, index) => {
      const own = seen[index]!
      for (let isLast = false; ;) {
        await each.events.number()
        const { events, isExceeded } = await each.events.after(own.at(-1)?.id ?? start)
        expect(isExceeded).toBe(false)
        own.push(...events)
        if (events.length > 0) continue
        if (isLast && own.length === 120) return
        isLast = isDone
      }
    })
    await Promise.all(writers)
    isDone = true
    await Promise.all(readers)
    for (const own of seen)
      expect(own.map(({ id }) => id)).toEqual(Array.from({ length: 120 }, (_, at) => start + 1 + at))
    expect(seen[0]).toEqual(seen[1])
  })

  it('stores nothing if nobody listens, and says that events are missing afterwards', async () => {
    await store.runs.enqueue([run('a')])
    const before = (await read(store, start)).events.at(-1)!.id
    await store.database.db
      .updateTable('piko_event_head')
      .set({ listened_until: new Date(0).toISOString().slice(0, 23) })
      .execute()
    await store.configs.state()
    await store.runs.enqueue([run('b')])
    const { claims } = await claim()
    await store.runs.finish(
      NODE,
      claims.map((each) => ({ claim: each, transition: { to: 'succeeded' as const }, configVersion: undefined })),
    )
    const { count } = await store.database.db
      .selectFrom('piko_event')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    expect(Number(count)).toBe(1)
    await store.events.listen(SPAN)
    expect(await read(store, before)).toEqual({ events: [], isExceeded: true })
    const { last } = await store.events.head()
    expect(await read(store, last)).toEqual({ events: [], isExceeded: false })
    await store.runs.enqueue([run('c')])
    expect((await read(store, last)).events).toMatchObject([{ id: last + 1, jobId: 'c' }])
  })

  it('deletes the oldest events, and says that they are missing', async () => {
    for (const jobId of ['a', 'b', 'c']) await store.runs.enqueue([run(jobId), run(jobId)])
    await read(store, start)
    while (await store.events.prune(SPAN, 3));
    expect(await read(store, start)).toEqual({ events: [], isExceeded: true })
    expect((await read(store, start + 3)).events.map(({ id }) => id)).toEqual([start + 4, start + 5, start + 6])
    expect((await read(store, start + 2)).isExceeded).toBe(false)
    while (await store.events.prune(-1_000, 1_000));
    expect(await read(store, start + 5)).toEqual({ events: [], isExceeded: true })
    expect(await read(store, start + 6)).toEqual({ events: [], isExceeded: false })
  })

  it('splits a large change into rows, and reads from the middle of one', async () => {
    const ids = await store.runs.enqueue(Array.from({ length: 5_000 }, () => run('many')))
    const { events } = await read(store, start)
    expect(events.map((event) => event.kind === 'run' && event.runId)).toEqual(ids)
    const rest = await read(store, start + 2_500)
    expect(rest.events).toEqual(events.slice(2_500))
  })
})

describeSqlite((fixture) => {
  it('records what was stored without a transaction if a reader comes while the file is locked', async () => {
    const store = storeOn(await fixture.open())
    await store.events.listen(SPAN)
    const start = (await store.events.head()).last
    const recording = store.database.recording
    const other = new DatabaseSync(fixture.options.sqlitePath as string)
    onTestFinished(() => other.close())
    /** Executes a statement that waits for the file, and lets a reader come meanwhile. */
    const meanwhile = async <T>(execute: () => Promise<T>): Promise<T> => {
      other.exec('BEGIN IMMEDIATE')
      recording.heard(false)
      const executing = execute()
      // The first try comes at most one turn of the event loop later.
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      recording.heard(true)
      other.exec('COMMIT')
      return executing
    }
    const noted = (amount: number): Promise<void> =>
      eventually(async () => expect((await read(store, start)).events).toHaveLength(amount))
    const [id] = await meanwhile(() => store.runs.enqueue([run('a')]))
    await noted(1)
    recording.heard(false)
    const { claims } = await store.runs.claim({ nodeId: NODE, limit: 1, limits: new Map() })
    await meanwhile(() => store.runs.finish(NODE, [{ claim: claims[0] as Claim, transition: { to: 'succeeded' } }]))
    await noted(2)
    expect(told((await read(store, start)).events)).toEqual([`${id} queued 0`, `${id} succeeded 1`])
  })
})
