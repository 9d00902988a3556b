import { describe, expect, it } from 'vitest'
import { Semaphore } from '../../src/resource/semaphore.ts'

/** Acquires a slot and records the name once it has it. */
function queue(semaphore: Semaphore, order: string[], name: string, signal?: AbortSignal, count = 1): Promise<void> {
  return semaphore.acquire(signal, count).then(() => void order.push(name))
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('Semaphore', () => {
  it('grants free slots immediately, and counts them', async () => {
    const semaphore = new Semaphore(2)
    await semaphore.acquire()
    await semaphore.acquire()
    expect(semaphore.active).toBe(2)
    expect(semaphore.waiting).toBe(0)
    semaphore.release()
    expect(semaphore.active).toBe(1)
  })

  it('admits waiters first in, first out', async () => {
    const semaphore = new Semaphore(1)
    const order: string[] = []
    await semaphore.acquire()
    const all = ['a', 'b', 'c'].map((name) => queue(semaphore, order, name))
    expect(semaphore.waiting).toBe(3)
    for (const expected of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
      semaphore.release()
      await settled()
      expect(order).toEqual(expected)
    }
    await Promise.all(all)
  })

  it('does not let a small request overtake a larger one that came first', async () => {
    const semaphore = new Semaphore(2)
    const order: string[] = []
    await semaphore.acquire()
    const large = queue(semaphore, order, 'large', undefined, 2)
    const small = queue(semaphore, order, 'small')
    await settled()
    expect(order).toEqual([])
    semaphore.release()
    await large
    semaphore.release(2)
    await small
    expect(order).toEqual(['large', 'small'])
  })

  it('removes an aborted waiter from the queue, rejects with the reason and admits those after it', async () => {
    const semaphore = new Semaphore(2)
    const order: string[] = []
    const controller = new AbortController()
    const reason = new Error('timed out')
    await semaphore.acquire()
    const large = queue(semaphore, order, 'large', controller.signal, 2)
    const small = queue(semaphore, order, 'small')
    controller.abort(reason)
    await expect(large).rejects.toBe(reason)
    await small
    expect(semaphore.active).toBe(2)
    expect(semaphore.waiting).toBe(0)
  })

  it('refuses a signal that has already aborted, without taking a slot', async () => {
    const semaphore = new Semaphore(1)
    const reason = new Error('cancelled')
    await expect(semaphore.acquire(AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(semaphore.active).toBe(0)
  })

  it('keeps a granted slot when the signal aborts afterwards', async () => {
    const semaphore = new Semaphore(1)
    const controller = new AbortController()
    await semaphore.acquire()
    const waiting = semaphore.acquire(controller.signal)
    semaphore.release()
    controller.abort(new Error('too late'))
    await waiting
    expect(semaphore.active).toBe(1)
  })

  it('refuses more slots than exist, and the return of slots that were never taken', async () => {
    const semaphore = new Semaphore(1)
    await expect(semaphore.acquire(undefined, 2)).rejects.toThrow('2 slots were requested of 1')
    expect(() => semaphore.release()).toThrow('only 0 are taken')
  })

  it('rejects all waiters with an error, and reports the return of the last slot', async () => {
    const semaphore = new Semaphore(1)
    await semaphore.acquire()
    const waiting = semaphore.acquire()
    semaphore.refuseWaiting(new Error('closed'))
    await expect(waiting).rejects.toThrow('closed')
    let idle = false
    const whenIdle = semaphore.idle().then(() => (idle = true))
    await settled()
    expect(idle).toBe(false)
    semaphore.release()
    await whenIdle
    await semaphore.idle()
  })

  it('never queues without a limit', async () => {
    const semaphore = new Semaphore(Infinity)
    await Promise.all(Array.from({ length: 1_000 }, () => semaphore.acquire()))
    expect(semaphore.active).toBe(1_000)
  })
})
