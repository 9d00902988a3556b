import { expect, it } from 'vitest'
import type { Elector } from '../../src/engine/node/elector.ts'
import { eventually, Gate, makeApp, recordEvents, startApp, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { thrown } from '../support/thrown.ts'
import { WorkerProcess } from '../support/worker-process.ts'

/** An instant at which a process knew that it led. */
interface Led {
  readonly process: number
  readonly epoch: number
  readonly at: bigint
}

function ledBy(processes: readonly WorkerProcess[]): Led[] {
  return processes.flatMap(({ lines }, process) =>
    lines
      .filter((line) => line.startsWith('leads '))
      .map((line) => {
        const [, epoch, at] = line.split(' ')
        return { process, epoch: Number(epoch), at: BigInt(at ?? '0') }
      }),
  )
}

/** The terms in the order of time: each with its process, its epoch, its first and its last instant. */
function termsOf(led: readonly Led[]): { process: number; epoch: number; from: bigint; to: bigint }[] {
  return [...Map.groupBy(led, ({ epoch }) => epoch).values()]
    .map((instants) => {
      const times = instants.map(({ at }) => at).sort((a, b) => (a < b ? -1 : 1))
      const [{ process, epoch } = { process: -1, epoch: -1 }] = instants
      expect(new Set(instants.map((one) => one.process)).size).toBe(1)
      return { process, epoch, from: times[0] ?? 0n, to: times.at(-1) ?? 0n }
    })
    .sort((a, b) => (a.from < b.from ? -1 : 1))
}

describeEachStore((store) => {
  it('of three processes one leads at any instant, also if the leader is frozen, and the epoch grows', async () => {
    const order = { settings: testSettings(store.options), mode: 'elect' } as const
    const processes = [1, 2, 3].map(() => new WorkerProcess(order, 'sync/node'))
    await Promise.all(processes.map((one) => one.told('started')))
    const ended: number[] = []
    for (let terms = 1; terms <= 3; terms++) {
      await eventually(() => expect(termsOf(ledBy(processes))).toHaveLength(terms))
      const { process } = termsOf(ledBy(processes)).at(-1) ?? { process: -1 }
      if (terms < 3) processes[process]?.signal('SIGSTOP')
      for (const earlier of ended) processes[earlier]?.signal('SIGCONT')
      ended.splice(0, ended.length, process)
    }
    // The thawed process has looked at its clock since.
    await eventually(() => expect(ledBy(processes).length).toBeGreaterThan(20))
    const terms = termsOf(ledBy(processes))
    for (const [index, term] of terms.entries()) {
      const before = terms[index - 1]
      if (!before) continue
      expect(before.to < term.from).toBe(true)
      expect(term.epoch).toBeGreaterThan(before.epoch)
    }
  })

  it('calls the work of the leader once a term, ends it before another process leads, and steps down if it fails', async () => {
    const [one, two] = [await startApp(store.options, []), await startApp(store.options, [])]
    const told = recordEvents(one, 'elector.changed')
    const calls: string[] = []
    const begun = new Gate()
    const first = one.elector('work', { ttl: '4s' })
    expect(one.elector('work')).toBe(first)
    first.lead(async (signal, epoch) => {
      calls.push(`one ${epoch}`)
      begun.open()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      calls.push('one ended')
    })
    await begun.pass()
    expect([first.isLeader, first.epoch]).toEqual([true, 1])
    const second = two.elector('work', { ttl: '4s' })
    const fails = new Gate()
    second.lead(async (_signal, epoch) => {
      calls.push(`two ${epoch}`)
      await fails.pass()
      throw new Error('broken work')
    })
    const changed = first.changed()
    await first.stop()
    expect(await changed).toBe(false)
    await eventually(() => expect(second.isLeader).toBe(true))
    await eventually(() => expect(calls).toEqual(['one 1', 'one ended', 'two 2']))
    // A stopped elector is replaced, and takes over once the work of the other has failed.
    const third = one.elector('work', { ttl: '1s' })
    const leads = third.changed()
    fails.open()
    expect(await leads).toBe(true)
    expect([second.isLeader, third.epoch]).toEqual([false, 3])
    expect(told.map(({ isLeader, epoch }) => [isLeader, epoch])).toEqual([
      [true, 1],
      [false, undefined],
      [true, 3],
    ])
  })

  it('an elector ends with its app, and names wrong options', async () => {
    const app = makeApp(store.options, [])
    expect(thrown(() => app.elector('early')).code).toBe('STOPPED')
    await app.start()
    const wrong = (name: unknown, options: object): Elector => app.elector(name as string, options)
    expect(thrown(() => wrong('a b', {})).message).toContain('"a b"')
    expect(thrown(() => wrong('a', { ttl: '10ms', tlt: 1 })).message).toMatch(/"tlt".*\n.*1000ms/)
    const elector = app.elector('mine')
    await eventually(() => expect(elector.isLeader).toBe(true))
    const other = await startApp(store.options, [])
    const waiting = other.elector('mine', { ttl: '1s' }).changed()
    const change = elector.changed()
    await app.stop()
    expect([await change, await waiting, elector.isLeader]).toEqual([false, true, false])
  })
})
