import { expect, it } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import type { Piko } from '../../../src/app/piko.ts'
import { systemClock } from '../../../src/clock.ts'
import { Locks } from '../../../src/engine/attempt/locks.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { LockStore } from '../../../src/store/nodes/lock-store.ts'
import { Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { rejected } from '../../support/thrown.ts'

describeEachStore((fixture) => {
  let database: Database

  const apps = async (count: number, ...jobs: ReturnType<typeof defineJob>[]): Promise<Piko[]> => {
    database = await fixture.open()
    await fixture.empty()
    return Promise.all(Array.from({ length: count }, () => startApp(fixture.options, jobs)))
  }

  it('has one owner at a time over all nodes, and an increasing fence', async () => {
    const [a, b] = (await apps(2)) as [Piko, Piko]
    let under = 0
    let most = 0
    const fences: number[] = []
    const use = async (app: Piko): Promise<void> => {
      await using lock = await app.locks.acquire('export')
      most = Math.max(most, ++under)
      fences.push(lock.fence)
      await new Promise((resolve) => setTimeout(resolve, 5))
      under--
    }
    await Promise.all(Array.from({ length: 20 }, (_, index) => use(index % 2 ? a : b)))
    expect(most).toBe(1)
    expect(new Set(fences).size).toBe(20)
    expect(fences).toEqual([...fences].sort((x, y) => x - y))
  })

  it('is refused while another owner holds it: immediately, after the wait, or when the signal aborts', async () => {
    const [a, b] = (await apps(2)) as [Piko, Piko]
    const lock = await a.locks.acquire('export')
    for (const app of [a, b]) {
      const error = await rejected(app.locks.acquire('export', { wait: '0s' }))
      expect([error.code, error.message]).toEqual(['LOCK_BUSY', expect.stringMatching(/its lease runs until 20/)])
      expect((await rejected(app.locks.acquire('export', { wait: '100ms' }))).code).toBe('LOCK_BUSY')
      const abort = new AbortController()
      const waiting = app.locks.acquire('export', { signal: abort.signal })
      abort.abort(new Error('no longer wanted'))
      await expect(waiting).rejects.toThrow('no longer wanted')
    }
    await lock.release()
    await lock.release()
    await using next = await b.locks.acquire('export', { wait: '0s' })
    expect(next.fence).toBe(lock.fence + 1)
  })

  it('outlives its process by its ttl, but no longer', async () => {
    const [app] = (await apps(1)) as [Piko]
    // The state that a killed process leaves.
    await new LockStore(database).acquire('user:export', crypto.randomUUID(), 300)
    const since = performance.now()
    await using lock = await app.locks.acquire('export')
    expect(performance.now() - since).toBeGreaterThan(250)
    expect(lock.lost.aborted).toBe(false)
  })

  it('is renewed while it is held', async () => {
    const [a, b] = (await apps(2)) as [Piko, Piko]
    await using lock = await a.locks.acquire('export', { ttl: '9s' })
    const expiry = async (): Promise<string> =>
      String(
        (await database.sql.query(`SELECT expires_at FROM piko_lock WHERE name = 'user:export'`))[0]?.['expires_at'],
      )
    const first = await expiry()
    await eventually(async () => expect(await expiry()).not.toBe(first))
    expect((await rejected(b.locks.acquire('export', { ttl: '9s', wait: '0s' }))).code).toBe('LOCK_BUSY')
    expect(lock.lost.aborted).toBe(false)
  })

  it('reports its loss to its owner when its row was taken', async () => {
    const [app] = (await apps(1)) as [Piko]
    const lock = await app.locks.acquire('export', { ttl: '1s' })
    await database.db
      .updateTable('piko_lock')
      .set({ owner: crypto.randomUUID() })
      .where('name', '=', 'user:export')
      .execute()
    await eventually(() => expect(lock.lost.aborted).toBe(true))
    expect(lock.lost.reason).toMatchObject({ code: 'LOCK_LOST', details: { name: 'export', fence: lock.fence } })
  })

  it('is lost by the clock, before its lease ends, when the database does not answer', async () => {
    database = await fixture.open()
    await fixture.empty()
    const clock = new ManualClock()
    const own = await fixture.open()
    const locks = new Locks({
      assertOutside: () => {},
      ...{ locks: new LockStore(own), clock },
      loops: new LoopHealth({ clock, events: new Events() }),
    })
    await locks.start()
    const lock = await locks.acquire('export', { ttl: '10s' })
    await own.close()
    for (let passedMs = 0; passedMs < 7_900; passedMs += 100) {
      clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(lock.lost.aborted).toBe(false)
    clock.advance(200)
    await eventually(() => expect(lock.lost.aborted).toBe(true))
    await locks.stop()
  })

  it('is not given, and is lost, when the answer of the database comes after the end of its trust', async () => {
    database = await fixture.open()
    await fixture.empty()
    const clock = new ManualClock()
    let lateMs = 9_000
    class LateStore extends LockStore {
      override async acquire(...given: Parameters<LockStore['acquire']>): Promise<number | undefined> {
        const fence = await super.acquire(...given)
        clock.advance(lateMs)
        return fence
      }

      override async renewAll(...given: Parameters<LockStore['renewAll']>): Promise<Set<string>> {
        const standing = await super.renewAll(...given)
        clock.advance(lateMs)
        return standing
      }
    }
    const locks = new Locks({
      assertOutside: () => {},
      ...{ locks: new LateStore(database), clock },
      loops: new LoopHealth({ clock, events: new Events() }),
    })
    await locks.start()
    expect(await locks.tryAcquire('elector:late', 10_000)).toBeUndefined()
    lateMs = 0
    const lock = await locks.tryAcquire('elector:late', 10_000)
    expect(lock).toMatchObject({ fence: 2, isHeld: true })
    lateMs = 5_000
    await eventually(() => {
      clock.advance(100)
      expect(lock?.lost.aborted).toBe(true)
    })
    await locks.stop()
  })

  it('of a run is released when the run ends, and a wait for it ends with the run', async () => {
    const job = defineJob({ id: 'export', retry: { limit: 0 } }, async (ctx) => {
      await ctx.lock('file')
      if (ctx.input === 'fail') throw new Error('failed with the lock')
    })
    const [app] = (await apps(1, job)) as [Piko]
    await app.run('export', { input: 'fail', wait: true }).catch(() => {})
    await app.run('export', { wait: true })
    await using held = await app.locks.acquire('file', { wait: '0s' })
    const waiting = await app.run('export')
    await eventually(async () => expect(await app.runs.show(waiting.id)).toMatchObject({ state: 'running' }))
    await app.runs.cancel(waiting.id)
    expect((await app.waitFor(waiting.id)).state).toBe('cancelled')
    expect(held.lost.aborted).toBe(false)
  })

  it.each([
    [{ name: '' }, /the name of a lock is ""/],
    [{ name: 'a b' }, /the name of a lock is "a b"; expected 1 to 120 letters/],
    [{ name: 'a', ttl: '10ms' as const }, /ttl of a lock is "10ms"; expected one second or more/],
    [{ name: 'a', wait: 'long' as '1s' }, /wait of a lock is "long"/],
  ])('refuses %j', async ({ name, ...options }, message) => {
    const locks = new Locks({
      assertOutside: () => {},
      ...{ locks: new LockStore(await fixture.open()), clock: systemClock },
      loops: new LoopHealth({ clock: systemClock, events: new Events() }),
    })
    expect((await rejected(locks.acquire(name, options))).message).toMatch(message)
  })
})
