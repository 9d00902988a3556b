import { expect, it } from 'vitest'
import { defineResource } from '../../src/resource/define-resource.ts'
import { Loan } from '../../src/resource/loan.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { resourceContext } from './resource-context.ts'

it('a loan whose signal aborts between slot and value acquires nothing and returns the slot', async () => {
  let acquired = 0
  const Counter = defineResource({
    name: 'counter',
    acquire: async function* () {
      yield ++acquired
    },
  })
  const [lender] = new ResourcePool().prepare({ counter: Counter }).lenders
  if (!lender) throw new Error('a resource has a lender')
  const reason = new Error('lease lost')
  let freed = 0
  const context = resourceContext({ signal: AbortSignal.abort(reason) })
  const loan = new Loan(lender, context, { isKept: false, free: () => freed++ })
  await expect(loan.take({})).rejects.toBe(reason)
  await loan.giveBack({ ok: false, error: reason })
  await loan.giveBack({ ok: false, error: reason })
  expect([acquired, freed]).toEqual([0, 1])
})
