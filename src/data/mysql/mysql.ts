import type { Kysely } from 'kysely'
import type { Pool as CallbackPool } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import { defineResource } from '../../resource/define-resource.ts'
import type { ResourceClass } from '../../resource/resource.ts'
import type { SqlDatabase } from '../../sql/sql.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { KyselySource, type WithKysely } from './kysely-source.ts'
import { type Given, type MysqlOptions, readMysqlCall } from './mysql-options.ts'
import type { MysqlRun, MysqlSource } from './mysql-source.ts'
import { openPool } from './open-pool.ts'
import { PoolSource, type WithConnection } from './pool-source.ts'
import { databaseOn, TransactionFace } from './sql-face.ts'
import { untilReachable } from './until-reachable.ts'

const DEFAULT_WAIT: Duration = '30s'
const DEFAULT_SIZE = 10
/** A user's pool has 10 connections by default. Half of them stay free for sinks, which could otherwise wait forever. */
const DEFAULT_SHARED_SIZE = 5

/** A database as a resource. */
export type MysqlResource<X> = ResourceClass<MysqlRun<X>> & {
  /**
   * The same database outside of a run's transaction, for sinks (`{ on: shop.database }`) and other code. Each call and each transaction
   * has its own connection.
   */
  readonly database: SqlDatabase
}

type GivenPool = Pool | CallbackPool

/**
 * A MySQL or MariaDB database as a resource. Each attempt of a run borrows a transaction. If the handler succeeds, the transaction is
 * committed after the run's sinks were flushed and before the run's success is stored. Otherwise it is rolled back.
 *
 * If the process dies between the commit and the stored success, the run is executed again. So the writes may be executed twice, but never
 * partly. For exactly once, write to Piko's own database with `ctx.commit`.
 *
 * @param source a DSN, or your own pool or Kysely instance, which stays open
 * @throws PikoError `USAGE` naming all problems
 * @example
 * const shop = mysql('mysql://user:password@host/shop', { size: 20 })
 * const sync = defineJob({ id: 'sync', resources: { shop } }, async ({ resources: { shop } }) => {
 *   await shop.exec('UPDATE stock SET amount = amount - 1 WHERE id = ?', [7])
 * })
 */
export function mysql<DB>(source: Kysely<DB>, options?: MysqlOptions): MysqlResource<WithKysely<DB>>
export function mysql(source: string | GivenPool, options?: MysqlOptions): MysqlResource<WithConnection>
export function mysql(
  source: string | GivenPool | Kysely<unknown>,
  options: MysqlOptions = {},
): MysqlResource<WithConnection | WithKysely<unknown>> {
  const { given, options: read } = readMysqlCall(source, options)
  const open = (): Promise<MysqlSource<WithConnection | WithKysely<unknown>>> => sourceOf(source, given, read)
  const resource = defineResource({
    name: read.name ?? (given.kind === 'dsn' ? `mysql ${given.dsn.database}` : 'mysql'),
    size: sizeOf(given, read),
    open: async () => reachable(await open(), durationMs(read.wait ?? DEFAULT_WAIT)),
    async *acquire(ctx, opened) {
      const face = new TransactionFace(await opened.begin(ctx.signal), ctx.signal)
      try {
        yield { ...face.executor, ...face.extra }
      } catch (error) {
        await face.rollback()
        throw error
      }
      await face.commit()
    },
    check: (opened) => opened.ping(),
    close: (opened) => opened.close(),
  })
  let shared: ReturnType<typeof open> | undefined
  return Object.assign(resource, { database: databaseOn(() => (shared ??= open())) })
}

/**
 * Fails if the server can't be reached in time, so that a wrong address fails the first run. If the connection is lost later, each new
 * transaction waits for the server.
 */
async function reachable<T extends Pick<MysqlSource<unknown>, 'ping' | 'close'>>(
  source: T,
  waitMs: number,
): Promise<T> {
  try {
    await untilReachable(() => source.ping(), waitMs, undefined)
    return source
  } catch (error) {
    await source.close()
    throw error
  }
}

function sizeOf({ kind }: Given, { size }: MysqlOptions): number {
  return size ?? (kind === 'dsn' ? DEFAULT_SIZE : DEFAULT_SHARED_SIZE)
}

async function sourceOf(
  source: string | GivenPool | Kysely<unknown>,
  given: Given,
  options: MysqlOptions,
): Promise<MysqlSource<WithConnection | WithKysely<unknown>>> {
  const { wait = DEFAULT_WAIT, isolation, tls } = options
  if (given.kind === 'kysely') return new KyselySource(source as Kysely<unknown>, durationMs(wait), isolation)
  const how = { waitMs: durationMs(wait), isolation: isolation?.toUpperCase() }
  if (given.kind === 'dsn') {
    const pool = await openPool(given.dsn, sizeOf(given, options), tls)
    return new PoolSource(pool, { ...how, isOwn: true })
  }
  return new PoolSource(promised(source as GivenPool), { ...how, isOwn: false })
}

/** Returns the promise form of a pool: mysql2 has pools with callbacks and pools with promises. */
function promised(pool: GivenPool): Pool {
  return 'promise' in pool && typeof pool.promise === 'function' ? pool.promise() : (pool as Pool)
}
