import { offload, type Offloaded } from '../offload/offload.ts'
import { OffloadPool } from '../offload/offload-pool.ts'
import type { OffloadOptions } from '../offload/pool/pool-options.ts'
import { offloadPool } from '../offload/pools.ts'
import { defineResource } from '../resource/define-resource.ts'
import type { ResourceClass } from '../resource/resource.ts'

export interface ThreadsOptions extends OffloadOptions {
  /** The name of the pool in settings and metrics, as for `offloadPool`. Default: no name; the pool belongs to this resource only. */
  readonly name?: string
}

/**
 * The functions of a module in a separate pool of worker threads, as a resource. The pool is created when the first run borrows it, and
 * closed when the app stops. Calls end with their run. For the pool that all modules share, use `offload`.
 *
 * @param module the URL of the module: `new URL('./parse.ts', import.meta.url)`
 * @param options the options of `offloadPool`
 * @throws PikoError `OFFLOAD_FAILED` if the module is not a `file:` URL, `SETTINGS_INVALID` for a wrong option
 * @example
 * const parsing = threads<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url), { size: 2 })
 * const load = defineJob({ id: 'load', resources: { parsing } }, ({ resources: { parsing } }) => parsing.parse('a,b'))
 */
export function threads<M>(module: URL | string, options: ThreadsOptions = {}): ResourceClass<Offloaded<M>> {
  const { name, ...rest } = options
  const create = (): OffloadPool => (name === undefined ? new OffloadPool(rest) : offloadPool({ ...rest, name }))
  // Checks the module and the options now. This pool is never used, so it starts no thread.
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
