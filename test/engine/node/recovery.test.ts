import { expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { Recovery } from '../../../src/engine/node/recovery.ts'
import { type EventMap, Events } from '../../../src/events.ts'
import type { EndedConnections } from '../../../src/store/nodes/end-connections.ts'
import { NodeStore } from '../../../src/store/nodes/node-store.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually } from '../../support/app.ts'
import { describeSqlite } from '../../support/databases.ts'

/** A server's refusal, which needs rights that the test server can't take away from a user for its own connections. */
const refusal = Object.assign(new Error('You are not owner of thread 12'), { errno: 1095 })

class DeniedNodes extends NodeStore {
  isBroken = false

  override endConnections(): Promise<EndedConnections> {
    if (this.isBroken) return Promise.reject(refusal)
    return Promise.resolve({ count: 0, nodeIds: [], busy: new Set(), denied: refusal })
  }
}

describeSqlite((fixture) => {
  it('recovers runs if the server refuses to end connections, and reports it once with the remedy', async () => {
    const database = await fixture.open()
    const { runs, locks } = storeOn(database)
    const nodes = new DeniedNodes(database)
    const events = new Events()
    const left: EventMap['connections.left'][] = []
    events.on('connections.left', (event) => left.push(event))
    const recovery = new Recovery({
      ...{ runs, nodes, locks, events, clock: systemClock },
      ...{ nodeId: () => 'own', held: () => new Set<number>(), onRecovered: () => undefined },
      ...{ leaseMs: 150, lostAttempts: 3, isEmbedded: false },
      loops: new LoopHealth({ events, clock: systemClock }),
    })
    await recovery.start()
    for (const id of ['dead', 'broken']) {
      nodes.isBroken = id === 'broken'
      await nodes.register({ id, host: 'h', pid: 1 }, -1)
      await eventually(async () => expect(await nodes.list()).toEqual([]))
    }
    await recovery.stop()
    expect(left).toMatchObject([{ nodeIds: ['dead'], error: { code: 'DATABASE_DENIED', cause: refusal } }])
    expect(left[0]?.error.message).toContain('same database user, or grant it the privilege CONNECTION_ADMIN')
  })
})
