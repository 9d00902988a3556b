import { offload, type Offloaded } from '../offload/offload.ts'
import { OffloadPool } from '../offload/offload-pool.ts'
import type { OffloadOptions } from '../offload/pool/pool-options.ts'
import { offloadPool } from '../offload/pools.ts'
import { defineResource } from '../resource/define-resource.ts'
import type { ResourceClass } from '../resource/resource.ts'

export interface ThreadsOptions extends OffloadOptions {
  /** Names the pool in settings and metrics, as `offloadPool` does. Default: a pool of this resource alone, without a name. */
  readonly name?: string
}

/**
 * The functions of a module in worker threads of their own, as a resource: the pool is created with the first run that borrows it, and ends
 * with the app. Calls end with the run. For the threads that all modules share, use `offload`.
 *
 * @param module the URL of the module: `new URL('./parse.ts', import.meta.url)`
 * @param options those of `offloadPool`
 * @throws PikoError `OFFLOAD_FAILED` for a module that is no file, `SETTINGS_INVALID` for a wrong option
 * @example
 * const parsing = threads<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url), { size: 2 })
 * const load = defineJob({ id: 'load', resources: { parsing } }, ({ resources: { parsing } }) => parsing.parse('a,b'))
 */
export function threads<M>(module: URL | string, options: ThreadsOptions = {}): ResourceClass<Offloaded<M>> {
  const { name, ...rest } = options
  const create = (): OffloadPool => (name === undefined ? new OffloadPool(rest) : offloadPool({ ...rest, name }))
  // Checks both now. A pool without a call has no thread.
  offload<M>(module, { pool: create() })
  return defineResource({
    name: `threads ${name ?? String(module).split('/').at(-1)}`,
    open: () => {
      const pool = create()
      return { pool, handle: offload<M>(module, { pool }) }
    },
    async *acquire(ctx, { handle }) {
      yield handle.$with({ signal: ctx.signal })
    },
    close: ({ pool }) => pool.close(),
  })
}
