import { type Kysely, type RawBuilder, sql } from 'kysely'
import { hasCode } from '../../sql/contention.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'

/** The result of ending the connections of dead nodes. */
export interface EndedConnections {
  /** How many connections were ended. */
  readonly count: number
  /** The nodes whose connections were ended. */
  readonly nodeIds: readonly string[]
  /** Nodes with a connection that executes a statement or was used a moment ago. Such a connection may be ended later. */
  readonly busy: ReadonlySet<string>
  /** The server's error if the database user is not allowed to end connections. */
  readonly denied: unknown
}

const NOTHING: EndedConnections = { count: 0, nodeIds: [], busy: new Set(), denied: undefined }

/** A connection that has been idle for less than this, in seconds, is not ended. */
const MIN_IDLE_S = 3
/** The maximum number of connections of one node that are stored, because the column holds 64 kB of text. */
const MAX_CONNECTIONS = 2_000
const NO_SUCH_THREAD = 1094
const KILL_DENIED = 1095
const RIGHT_MISSING = 1227

const THIS_SERVER = sql<string>`CONCAT(@@hostname, ':', @@port)`

interface ConnectionColumns {
  readonly connections?: RawBuilder<string | null>
  readonly connections_of?: RawBuilder<string>
  readonly connections_at?: RawBuilder<Date>
}

/**
 * Returns the columns that store these connections of a node; none on SQLite. Behind a proxy, the ids that this process knows are ids of
 * the proxy. The server's id of the current connection is then not among them, and no ids are stored.
 */
export function connectionColumns(ids: readonly number[]): ConnectionColumns {
  if (ids.length === 0) return {}
  const text = ids.slice(0, MAX_CONNECTIONS).join(',')
  return {
    connections: sql<string | null>`CASE WHEN CONNECTION_ID() IN (${sql.raw(text)}) THEN ${text} END`,
    connections_of: THIS_SERVER,
    connections_at: sql<Date>`UTC_TIMESTAMP(3)`,
  }
}

/**
 * Ends the MySQL connections of nodes whose leases have expired, because the server keeps the locks of a transaction until its connection
 * ends. If the process is suspended, or its machine has lost power or network, the server ends the connection only after hours (its
 * `wait_timeout`).
 *
 * An id may now belong to another connection. So this ends a connection only if it has been idle for a few seconds, belongs to the same
 * user and database on this server, and does not belong to a live node. It ignores ids that were stored before the server started.
 */
export async function endConnections(database: Database, nodeIds: readonly string[]): Promise<EndedConnections> {
  if (database.dialect.name === 'sqlite' || nodeIds.length === 0) return NOTHING
  return database.db.connection().execute(async (connection) => {
    const owners = await ownersOf(database, connection, new Set(nodeIds))
    if (owners.size === 0) return NOTHING
    const found = await processesOf(connection, [...owners.keys()])
    const ended: number[] = []
    const busy = new Set<string>()
    let denied: unknown
    for (const { id, isIdle } of found) {
      if (!isIdle) {
        busy.add(owners.get(id) ?? '')
        continue
      }
      try {
        await sql`KILL CONNECTION ${sql.raw(String(id))}`.execute(connection)
        ended.push(id)
      } catch (error) {
        if (hasErrno(error, KILL_DENIED) || hasErrno(error, RIGHT_MISSING)) denied ??= error
        else if (!hasErrno(error, NO_SUCH_THREAD)) throw error
      }
    }
    return { count: ended.length, nodeIds: [...new Set(ended.map((id) => owners.get(id) ?? ''))], busy, denied }
  })
}

/** Maps the ids of connections to their nodes. Contains only dead nodes, and only ids that neither a live node nor this process uses. */
async function ownersOf(
  database: Database,
  connection: Kysely<Tables>,
  dead: ReadonlySet<string>,
): Promise<Map<number, string>> {
  const uptime = await uptimeSeconds(connection)
  const rows = await connection
    .selectFrom('piko_node')
    .select(['id', 'connections'])
    .select(sql<number>`TIMESTAMPDIFF(SECOND, connections_at, UTC_TIMESTAMP(3))`.as('age'))
    .where('connections', 'is not', null)
    .where('connections_of', '=', THIS_SERVER)
    .execute()
  const owners = new Map<number, string>()
  const current = rows.filter(({ age }) => uptime === undefined || Number(age) <= uptime)
  for (const { id, connections } of current) if (dead.has(id)) for (const one of idsIn(connections)) owners.set(one, id)
  for (const { id, connections } of current) if (!dead.has(id)) for (const one of idsIn(connections)) owners.delete(one)
  for (const one of database.connectionIds()) owners.delete(one)
  return owners
}

/** Returns how many seconds the server has run. Undefined if the server does not report that, as some compatible servers do not. */
async function uptimeSeconds(connection: Kysely<Tables>): Promise<number | undefined> {
  const { rows } = await sql<{ Value: string }>`SHOW GLOBAL STATUS LIKE 'Uptime'`.execute(connection)
  const [row] = rows
  return row && Number(row.Value)
}

/** Returns those of these connections that still exist and belong to the same user and database as this one. */
async function processesOf(
  connection: Kysely<Tables>,
  ids: readonly number[],
): Promise<readonly { readonly id: number; readonly isIdle: boolean }[]> {
  const { rows } = await sql<{ id: number | string; command: string; seconds: number | string }>`
    SELECT other.id AS id, other.command AS command, other.time AS seconds
    FROM information_schema.processlist other
    JOIN information_schema.processlist own ON own.id = CONNECTION_ID()
    WHERE other.id IN (${sql.raw(ids.join(','))}) AND other.user = own.user AND other.db = own.db
  `.execute(connection)
  return rows.map(({ id, command, seconds }) => ({
    id: Number(id),
    isIdle: command === 'Sleep' && Number(seconds) >= MIN_IDLE_S,
  }))
}

function idsIn(text: string | null): number[] {
  return (text ?? '')
    .split(',')
    .map(Number)
    .filter((id) => Number.isSafeInteger(id) && id > 0)
}

function hasErrno(error: unknown, errno: number): boolean {
  return hasCode(error, 'errno', (code) => code === errno)
}
