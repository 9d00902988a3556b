import { describe, expect, it } from 'vitest'
import { FleetOffload } from '../../../src/engine/fleet/fleet-offload.ts'
import { defineRoutes, answer as httpAnswer } from '../../../src/link/index.ts'
import type { RouteRequest } from '../../../src/link/index.ts'
import type { FleetAnswer } from '../../../src/offload/fleet/fleet.ts'
import { linked } from '../../link/support.ts'

/** Sends a call to a node whose route answers with this handler. */
async function answered(
  handler: (request: RouteRequest) => unknown,
  options: { timeoutMs?: number; maxOpen?: number; open?: number } = {},
): Promise<FleetAnswer> {
  const link = await linked(defineRoutes({ prefix: '/piko/offload' }).upload('/call', handler), {
    maxOpen: options.maxOpen ?? 10,
  })
  const offload = new FleetOffload({ to: async () => link, reachable: async () => [] }, () => 'me', 20)
  const { timeoutMs } = options
  const call = { hash: '', file: 'tasks.mjs', name: 'work', args: Buffer.alloc(1), priority: 0, timeoutMs }
  const answers = Array.from({ length: options.open ?? 1 }, () => offload.run('other', call, undefined))
  const last = await answers.at(-1)!
  link.destroy()
  await Promise.all(answers)
  return last
}

describe('the answer of another node to an offloaded call', () => {
  const never = (): Promise<never> => new Promise(() => {})

  it('a node that does not answer within the time limit, as if it were suspended, is lost', async () => {
    expect(await answered(never, { timeoutMs: 30 })).toEqual({ kind: 'lost' })
  })

  it('a node that accepts no more calls is busy, and does not refuse the module', async () => {
    expect(await answered(never, { maxOpen: 1, open: 2 })).toEqual({ kind: 'busy' })
  })

  it('a result that is too large for the link stays there, so that the call runs here', async () => {
    expect(await answered(() => Buffer.alloc(64 * 2 ** 20 + 1))).toEqual({ kind: 'kept' })
  })

  it('a node whose handler fails refuses the module', async () => {
    expect(await answered(() => httpAnswer(503, { code: 'ODD' }))).toMatchObject({ kind: 'refused' })
  })
})
