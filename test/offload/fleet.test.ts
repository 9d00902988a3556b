import { describe, expect, it, onTestFinished } from 'vitest'
import { offerFleet, type FleetAnswer, type FleetCall } from '../../src/offload/fleet/fleet.ts'
import { FleetQueue } from '../../src/offload/fleet/fleet-queue.ts'
import { decoded, encoded } from '../../src/offload/fleet/travel.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import { moduleFile } from '../../src/offload/module-file.ts'
import { eventually } from '../support/app.ts'

const module = moduleFile(new URL('./modules/fleet-tasks.ts', import.meta.url)).href
const MAX = 2 ** 20

/** A queue whose own thread is busy until `free` is called, beside nodes that the test plays. */
async function busyQueue() {
  const pool = new OffloadPool({ size: 1 })
  const stop = new AbortController()
  const held = pool.call({ module, name: 'forever', args: [] }, options(), stop.signal)
  held.result.catch(() => {})
  onTestFinished(async () => {
    stop.abort(new Error('over'))
    await pool.close()
  })
  const ran: { node: string; args: readonly unknown[]; answer: (answer: FleetAnswer) => void }[] = []
  const nodes = new Map<string, number>()
  const never = new Promise<void>(() => {})
  const withdraw = offerFleet({
    look: async (_, found) => {
      for (const [id, free] of nodes) if (free >= 0) found(id, free)
      if ([...nodes.values()].includes(-1)) await never
    },
    run: (node, call: FleetCall) =>
      new Promise((answer) => void ran.push({ node, args: decoded(call.args) as unknown[], answer })),
  })
  onTestFinished(withdraw)
  const queue = new FleetQueue(pool)
  const call = (priority: number, job = '', ...args: unknown[]) =>
    queue.add({ module, name: 'echo', args }, options(priority, job), undefined)
  return { nodes, ran, call, free: () => void stop.abort(new Error('free')) }
}

const options = (priority = 0, job = '') =>
  ({ transfer: [], scope: { run: { jobId: job } }, priority, timeoutMs: undefined }) as never

describe("the queue of calls with on: 'fleet'", () => {
  it('orders calls by priority, and lets jobs take turns, as a pool does', async () => {
    const { nodes, ran, call } = await busyQueue()
    const all = [call(0, 'a', 'a1'), call(0, 'a', 'a2'), call(0, 'a', 'a3'), call(0, 'b', 'b1'), call(5, 'a', 'urgent')]
    nodes.set('one', all.length)
    await eventually(() => expect(ran).toHaveLength(all.length))
    for (const [place, { answer }] of ran.entries()) answer({ kind: 'value', value: place })
    expect(ran.map(({ args }) => args[0])).toEqual(['urgent', 'b1', 'a1', 'a2', 'a3'])
    expect(await Promise.all(all)).toEqual([2, 3, 4, 1, 0])
  })

  it('a call that must run here does not keep others from running elsewhere', async () => {
    const { nodes, ran, call, free } = await busyQueue()
    nodes.set('one', 2)
    const here = call(0, 'a', 'here')
    await eventually(() => expect(ran).toHaveLength(1))
    ran[0]!.answer({ kind: 'kept' })
    const other = call(0, 'a', 'there')
    await eventually(() => expect(ran.map(({ args }) => args[0])).toEqual(['here', 'there']))
    ran[1]!.answer({ kind: 'value', value: 'done' })
    expect(await other).toBe('done')
    free()
    expect(await here).toBe('here')
  })

  it('a node that never answers a question for free threads does not delay those that answer', async () => {
    const { nodes, ran, call } = await busyQueue()
    nodes.set('one', 1).set('suspended', -1)
    const value = call(0, 'a', 1)
    await eventually(() => expect(ran.map(({ node }) => node)).toEqual(['one']))
    ran[0]!.answer({ kind: 'value', value: 'done' })
    expect(await value).toBe('done')
  })

  it('a lost call runs again at once; after two lost nodes it runs here', async () => {
    const { nodes, ran, call, free } = await busyQueue()
    nodes.set('one', 2)
    const lost = call(0, 'a', 'lost')
    for (let place = 1; place <= 2; place++) {
      await eventually(() => expect(ran).toHaveLength(place))
      ran[place - 1]!.answer({ kind: 'lost' })
    }
    const next = call(0, 'a', 'next')
    await eventually(() => expect(ran.map(({ args }) => args[0])).toEqual(['lost', 'lost', 'next']))
    ran[2]!.answer({ kind: 'value', value: 'there' })
    expect(await next).toBe('there')
    free()
    expect(await lost).toBe('lost')
  })
})

describe('values for another node', () => {
  it('arrive as structured clone would copy them', async () => {
    const buffer = new ArrayBuffer(8)
    const loop: Record<string, unknown> = { n: 1n, at: new Date(5), rx: /a/g, none: undefined, minus: -0, not: NaN }
    loop['self'] = loop
    const value = [
      new Uint8Array(buffer, 2, 3),
      new Float64Array(buffer),
      buffer,
      loop,
      new Map([[{ a: 1 }, new Set([1])]]),
      Object.assign(new TypeError('x', { cause: 'y' }), { code: 1 }),
      [, 1],
      Object('boxed'),
      new (class Thing {
        a = 1
      })(),
      Buffer.from('abc'),
      Object.assign(Object.create(null), { a: 1 }),
    ]
    const there = decoded(encoded(value, MAX)!) as [Uint8Array, Float64Array, ArrayBuffer]
    expect(there).toEqual(structuredClone(value))
    expect([there[0].buffer, there[1].buffer]).toEqual([there[2], there[2]])
    expect(there[0].buffer).toBe(there[2])
  })

  it('are not sent if they would arrive as something else', () => {
    const odd = [new Blob(['a']), new URL('http://a'), new DOMException('a', 'AbortError'), new SharedArrayBuffer(1)]
    const more = [() => 1, Symbol('a'), Promise.resolve(), new WeakMap(), new MessageChannel().port1, new Proxy({}, {})]
    for (const one of [...odd, ...more]) expect(encoded([{ deep: new Map([[1, one]]) }], MAX)).toBeUndefined()
    expect(encoded(new Uint8Array(new ArrayBuffer(MAX + 1), 0, 1), MAX)).toBeUndefined()
    expect(encoded('x'.repeat(MAX), MAX)).toBeUndefined()
  })
})
