import { expect, it } from 'vitest'
import { Loan } from '../../src/resource/loan.ts'
import { Resource } from '../../src/resource/resource.ts'
import { Semaphore } from '../../src/resource/semaphore.ts'
import { resourceContext } from './resource-context.ts'

it('a loan whose signal aborts between slot and value acquires nothing and returns the slot', async () => {
  let acquired = 0
  class Counter extends Resource<number> {
    async *acquire(): AsyncGenerator<number, void, void> {
      yield ++acquired
    }
  }
  const semaphore = new Semaphore(1)
  await semaphore.acquire()
  const reason = new Error('lease lost')
  const context = resourceContext({ signal: AbortSignal.abort(reason) })
  const loan = new Loan({ name: 'counter', resource: new Counter(), semaphore }, context)
  await expect(loan.take()).rejects.toBe(reason)
  await loan.giveBack({ ok: false, error: reason })
  await loan.giveBack({ ok: false, error: reason })
  expect([acquired, semaphore.active]).toEqual([0, 0])
})
