import { expect, it } from 'vitest'
import { Lock } from '../../src/engine/attempt/lock.ts'
import { LoopHealth } from '../../src/engine/loop/loop-health.ts'
import { Elector } from '../../src/engine/node/elector.ts'
import { Events } from '../../src/events.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually, Gate } from '../support/app.ts'
import { rejected } from '../support/thrown.ts'

/** An elector that leads from its start, and what became of its lease. */
function leading() {
  const lease: string[] = []
  const [clock, events] = [new ManualClock(), new Events()]
  const note = (what: string) => Promise.resolve(void lease.push(what))
  const holder = {
    release: () => note('released'),
    abandon: () => (lease.push('left'), () => note('released')),
    isHeld: () => true,
  }
  const locks = { tryAcquire: (name: string) => Promise.resolve(new Lock(name, 1, holder)) }
  const elector = new Elector('work', {}, { locks, events, clock, loops: new LoopHealth({ clock, events }) })
  return { elector, lease, clock }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('a stop leaves the lease to work that ignores its signal, and releases it when the work has ended', async () => {
  const { elector, lease, clock } = leading()
  const [begun, gate] = [new Gate(), new Gate()]
  elector.lead(async () => {
    begun.open()
    await gate.pass()
  })
  await elector.start()
  await begun.pass()
  const stopped = elector.stop()
  await eventually(() => expect(elector.isLeader).toBe(false))
  await turn()
  clock.advance(4_000)
  await stopped
  expect(lease).toEqual(['left'])
  for (let waits = 1; waits <= 2; waits++) expect(await rejected(elector.changed())).toMatchObject({ code: 'STOPPED' })
  gate.open()
  await eventually(() => expect(lease).toEqual(['left', 'released']))
})

it('keeps the lease after the failure of one work until the others of its term have ended', async () => {
  const { elector, lease } = leading()
  const [begun, gate] = [new Gate(), new Gate()]
  elector.lead(async () => {
    begun.open()
    await gate.pass()
  })
  elector.lead(async () => {
    await begun.pass()
    throw new Error('broken work')
  })
  await elector.start()
  await begun.pass()
  await eventually(() => expect(elector.isLeader).toBe(false))
  await turn()
  expect(lease).toEqual([])
  gate.open()
  await eventually(() => expect(lease).toEqual(['released']))
  await elector.stop()
})
