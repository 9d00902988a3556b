import { describe, expect, it } from 'vitest'
import { FleetOffload } from '../../../src/engine/fleet/fleet-offload.ts'
import { defineRoutes, answer as httpAnswer } from '../../../src/link/index.ts'
import type { RouteRequest } from '../../../src/link/index.ts'
import { offloadRoutes } from '../../../src/engine/fleet/offload-routes.ts'
import { PikoError } from '../../../src/errors.ts'
import { declareFleetModule, type FleetAnswer } from '../../../src/offload/fleet/fleet.ts'
import { moduleHash } from '../../../src/offload/fleet/module-hash.ts'
import { encoded } from '../../../src/offload/fleet/travel.ts'
import { moduleFile } from '../../../src/offload/module-file.ts'
import { offloadPool } from '../../../src/offload/pools.ts'
import { eventually } from '../../support/app.ts'
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

  it('a node that stops gives its calls back, and keeps results that it cannot send', async () => {
    const pool = offloadPool({ name: 'that-stops', size: 2 })
    const module = new URL('../../offload/modules/fleet-tasks.ts', import.meta.url)
    declareFleetModule(module, pool)
    const link = await linked(defineRoutes({ prefix: '/piko' }).mount(offloadRoutes(() => true)))
    const offload = new FleetOffload({ to: async () => link, reachable: async () => [] }, () => 'me')
    const run = (name: string) => {
      const about = { hash: moduleHash(moduleFile(module).href), file: 'fleet-tasks.ts', priority: 0 }
      return offload.run('other', { ...about, name, args: encoded([1], 1_000)!, timeoutMs: undefined }, undefined)
    }
    expect(await run('echo')).toEqual({ kind: 'value', value: 1 })
    expect(await run('blob')).toEqual({ kind: 'kept' })
    const open = run('forever')
    await eventually(() => expect(pool.stats.running).toBe(1))
    await pool.close(AbortSignal.abort(new PikoError('STOPPED', 'the app is stopping')))
    expect(await open).toEqual({ kind: 'busy' })
  })

  it('a node whose handler fails refuses the module', async () => {
    expect(await answered(() => httpAnswer(503, { code: 'ODD' }))).toMatchObject({ kind: 'refused' })
  })
})
