import { offload, type Offloaded } from '../offload/offload.ts'
import { type OffloadOptions, OffloadPool } from '../offload/offload-pool.ts'
import { defineResource } from '../resource/define-resource.ts'
import type { ResourceClass } from '../resource/resource.ts'

/**
 * The functions of a module in worker threads of their own, as a resource: the pool is created with the first run that borrows it, and ends
 * with the app. Calls end with the run. For the threads that all modules share, use `offload`.
 *
 * @param module the URL of the module: `new URL('./parse.ts', import.meta.url)`
 * @param options those of an `OffloadPool`
 * @throws PikoError `OFFLOAD_FAILED` for a module that is no file, `SETTINGS_INVALID` for a wrong option
 * @example
 * const parsing = threads<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url), { threads: 2 })
 * const load = defineJob({ id: 'load', resources: { parsing } }, ({ resources: { parsing } }) => parsing.parse('a,b'))
 */
export function threads<M>(module: URL | string, options: OffloadOptions = {}): ResourceClass<Offloaded<M>> {
  // Checks both now. A pool without a call has no thread.
  offload<M>(module, { pool: new OffloadPool(options) })
  return defineResource({
    name: `threads ${String(module).split('/').at(-1)}`,
    open: () => {
      const pool = new OffloadPool(options)
      return { pool, handle: offload<M>(module, { pool }) }
    },
    async *acquire(ctx, { handle }) {
      yield handle.$with({ signal: ctx.signal })
    },
    close: ({ pool }) => pool.close(),
  })
}
