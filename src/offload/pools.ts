import { describe } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { aText, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { OffloadPool } from './offload-pool.ts'
import { type OffloadOptions, POOL_CHECKS, poolOptions } from './pool/pool-options.ts'

export interface OffloadPoolOptions extends OffloadOptions {
  /** The name of the pool in settings and metrics. It must be unique in the process. */
  readonly name: string
}

/**
 * The pools of the process. They are global: an `offload()` handle is declared at module level, before there
 * is an app that could own a pool, and processors belong to the process. A pool starts no thread before its first call. Two apps in one
 * process share the pools. When one app stops, it closes them for both; the next call from the other app opens them again.
 */
const pools = new Map<string, { readonly pool: OffloadPool; readonly declared: string }>()
let overrides: Readonly<Record<string, OffloadOptions>> = {}

/** The pool of all handles for which no other pool is given. */
export const defaultPool = new OffloadPool({}, 'default')

const CHECKS: OptionChecks<OffloadPoolOptions> = { ...POOL_CHECKS, name: aText }

/**
 * Declares a separate pool of threads, with its own size, memory and limits. The setting `[offload] pools` may override them.
 *
 * Declaring a pool again with the same options returns the same pool.
 *
 * @throws PikoError `SETTINGS_INVALID` for wrong options, or if another pool has the name
 * @example
 * const parsers = offloadPool({ name: 'parsers', size: 4, memory: '256MB', timeout: '5m' })
 * const parsing = offload<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url), { pool: parsers })
 */
export function offloadPool(given: OffloadPoolOptions): OffloadPool {
  const { options, problems } = readOptions<OffloadPoolOptions>(given, CHECKS, "{ name: 'parsers', size: 4 }", ['name'])
  if (problems.length > 0)
    throw new PikoError('SETTINGS_INVALID', problemsText('offloadPool', problems), { details: { problems } })
  const { name = '', ...rest } = options
  const declared = JSON.stringify(poolOptions(rest))
  const known = pools.get(name)
  if (known?.declared === declared) return known.pool
  if (known || name === defaultPool.name) throw taken(name)
  const pool = new OffloadPool(rest, name)
  pool.override(overrides[name] ?? {})
  pools.set(name, { pool, declared })
  return pool
}

function taken(name: string): PikoError {
  const why = name === defaultPool.name ? 'it is the default pool' : 'it is declared with other options'
  return new PikoError('SETTINGS_INVALID', `the pool ${describe(name)} already exists: ${why}; choose another name`, {
    details: { name },
  })
}

/** Returns every pool of the process. */
export function allPools(): readonly OffloadPool[] {
  return [defaultPool, ...[...pools.values()].map(({ pool }) => pool)]
}

/** Sets the options of the default pool; see {@link OffloadPool.configure}. */
export function configureOffload(options: OffloadOptions): void {
  defaultPool.configure(options)
}

/** Sets the options that the settings give to named pools, whether a pool is declared before or after this call. */
export function overridePools(named: Readonly<Record<string, OffloadOptions>>): void {
  overrides = named
  for (const { pool } of pools.values()) pool.override(named[pool.name] ?? {})
}

/** Closes all pools; see {@link OffloadPool.close}. */
export async function closeOffload(signal?: AbortSignal): Promise<void> {
  await Promise.all(allPools().map((pool) => pool.close(signal)))
}
