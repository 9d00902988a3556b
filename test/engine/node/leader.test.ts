import { afterEach, beforeEach, expect, it } from 'vitest'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Leader } from '../../../src/engine/node/leader.ts'
import type { Database } from '../../../src/store/connection/database.ts'
import { LockStore } from '../../../src/store/nodes/lock-store.ts'
import type { BrokenRow } from '../../../src/store/values/broken-row.ts'
import { type EventMap, Events } from '../../../src/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const TTL = 900
const [A, B] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const

interface Contender {
  readonly leader: Leader
  readonly database: Database
  readonly changes: EventMap['leader.changed'][]
}

describeEachStore((fixture) => {
  let clock: ManualClock
  const contenders: Contender[] = []

  beforeEach(async () => {
    clock = new ManualClock()
    await (await fixture.open()).sql.exec('DELETE FROM piko_lock')
  })

  afterEach(async () => {
    // A node whose database is closed can't release its lease.
    await Promise.allSettled(contenders.splice(0).map(({ leader }) => leader.stop()))
  })

  const contend = async (owner: string, ownClock: ManualClock = clock): Promise<Contender> => {
    const database = await fixture.open({ clock })
    const events = new Events()
    const contender = {
      leader: new Leader({
        ...{ locks: new LockStore(database), nodeId: owner, leaseMs: TTL, clock: ownClock, events },
        loops: new LoopHealth({ clock: ownClock, events }),
      }),
      database,
      changes: [] as EventMap['leader.changed'][],
    }
    events.on('leader.changed', (change) => contender.changes.push(change))
    contenders.push(contender)
    await contender.leader.start()
    return contender
  }

  /** Lets time pass and waits until every loop sleeps again. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await eventually(() => expect(clock.sleeping).toBe(contenders.length))
  }

  it('is one of two nodes for as long as it renews its lease', async () => {
    const [a, b] = [await contend(A), await contend(B)]
    await pass(0)
    for (let round = 0; round < 9; round++) {
      expect([a.leader.isLeader, b.leader.isLeader]).toEqual([true, false])
      await pass(TTL / 3)
    }
    expect(a.changes).toEqual([{ isLeader: true, epoch: a.leader.epoch }])
    expect([b.changes, b.leader.epoch]).toEqual([[], undefined])
  })

  it('wakes whoever saw no leader, if its own lease was renewed late', async () => {
    const a = await contend(A)
    await pass(0)
    const epoch = a.leader.epoch!
    const seen: boolean[] = []
    a.leader.onLead(() => seen.push(a.leader.isLeader))
    clock.advance(TTL * 0.85)
    expect(a.leader.isLeader).toBe(false)
    await eventually(() => expect(seen).toEqual([true]))
    expect(a.changes.map(({ isLeader }) => isLeader)).toEqual([true, false, true])
    expect(a.leader.epoch).toBe(epoch)
  })

  it('steps down before its lease ends if renewals fail, and only then another node follows', async () => {
    const [a, b] = [await contend(A), await contend(B)]
    await pass(0)
    const epoch = a.leader.epoch!
    await a.database.close()
    let overlap = false
    for (let passed = 0; passed < 2 * TTL; passed += 20) {
      await pass(20)
      overlap ||= a.leader.isLeader && b.leader.isLeader
      if (passed + 20 < TTL * 0.8) expect(a.leader.isLeader).toBe(true)
      if (passed + 20 >= TTL * 0.8) expect([a.leader.isLeader, a.leader.epoch]).toEqual([false, undefined])
      if (passed + 20 <= TTL) expect(b.leader.isLeader).toBe(false)
    }
    expect(overlap).toBe(false)
    expect(b.leader.isLeader).toBe(true)
    expect(b.leader.epoch).toBeGreaterThan(epoch)
    // It reports this too, although its database does not answer.
    expect(a.changes).toEqual([
      { isLeader: true, epoch },
      { isLeader: false, epoch: undefined },
    ])
  })

  it('that was suspended beyond its lease finds it taken and becomes a follower', async () => {
    const ownClock = new ManualClock()
    const a = await contend(A, ownClock)
    await eventually(() => expect(ownClock.sleeping).toBe(1))
    const b = await contend(B)
    contenders.splice(contenders.indexOf(a), 1)
    await pass(0)
    await pass(TTL + 1)
    expect(b.leader.isLeader).toBe(true)
    ownClock.advance(TTL / 3)
    await eventually(() => expect(a.leader.isLeader).toBe(false))
    expect(b.leader.isLeader).toBe(true)
    contenders.push(a)
  })

  it('succeeds a dead leader whose lease was edited to end later than any lease can, and says so', async () => {
    const a = await contend(A)
    const b = await contend(B)
    await pass(0)
    const { leader, database } = b
    const told: BrokenRow[] = []
    database.broken.onReport = (row) => told.push(row)
    await a.database.close()
    for (const until of fixture.name === 'sqlite' ? ['tomorrow', '2999-01-01T00:00:00.000Z'] : ['2999-01-01']) {
      await database.sql.exec('UPDATE piko_lock SET owner = ?, expires_at = ?', ['dead', until])
      await pass(TTL)
      await pass(TTL + 1)
      await pass(TTL)
      expect(leader.isLeader).toBe(true)
      expect(told.splice(0)).toMatchObject([
        {
          table: 'piko_lock',
          columns: ['expires_at'],
          message: expect.stringMatching(
            /not plausible: expires_at is .*(tomorrow|2999).*UPDATE piko_lock SET owner = NULL WHERE name = 'leader'$/,
          ) as string,
        },
      ])
    }
    // A live leader keeps the lease, because its renewal corrects the row.
    const { epoch } = leader
    await database.sql.exec('UPDATE piko_lock SET expires_at = ?', ['2999-01-01T00:00:00.000Z'.slice(0, 10)])
    for (let round = 0; round < 6; round++) await pass(TTL / 3)
    expect({ epoch: leader.epoch, told }).toEqual({ epoch, told: [] })
  })

  it('that stops releases the lease immediately', async () => {
    const [a, b] = [await contend(A), await contend(B)]
    await pass(0)
    const epoch = a.leader.epoch!
    await a.leader.stop()
    contenders.splice(contenders.indexOf(a), 1)
    expect(a.changes.at(-1)).toEqual({ isLeader: false, epoch: undefined })
    await pass(TTL / 3)
    expect(b.leader).toMatchObject({ isLeader: true, epoch: epoch + 1 })
  })
})
