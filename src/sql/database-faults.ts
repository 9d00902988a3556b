// The heartbeat's thread also loads this module, so it may import only modules whose types Node can strip.

import { chainOf, isError, propertyOf } from '../errors-read.ts'

/**
 * The meaning of a database error for the caller.
 *
 * - `outage`: the server, or this member of a cluster, can't serve for now. Drop the connection, and retry on another member or later.
 * - `contention`: a conflict with another transaction. Run the whole transaction again, soon.
 * - `data`: the value or the row is refused. A retry does not help.
 * - `programming`: the statement, the schema or the privileges are wrong.
 */
export type DatabaseFault = 'outage' | 'contention' | 'data' | 'programming'

interface ServerError {
  readonly fault: DatabaseFault
  /** Whether the server refuses the statement before it does anything. Then the statement certainly did not execute. */
  readonly isRefusal?: true
  /** Whether the server rolls the whole transaction back. Later statements and the COMMIT would still succeed. */
  readonly endsTransaction?: true
  /** What the error's text must match, because the number also has other meanings. */
  readonly only?: RegExp
}

const OUTAGE: ServerError = { fault: 'outage' }
const REFUSED: ServerError = { fault: 'outage', isRefusal: true }
const CONTENTION: ServerError = { fault: 'contention' }
const ROLLED_BACK: ServerError = { fault: 'contention', endsTransaction: true }
const DATA: ServerError = { fault: 'data' }
const PROGRAMMING: ServerError = { fault: 'programming' }

/**
 * Errors by their numbers in the servers' manuals:
 *
 * - https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 * - https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
 * - https://galeracluster.com/library/documentation/dealing-with-multi-master-conflicts.html
 * - https://dev.mysql.com/doc/refman/8.4/en/group-replication-limitations.html
 */
const SERVER_ERRORS: ReadonlyMap<number, ServerError> = new Map([
  [1021, OUTAGE], // ER_DISK_FULL
  [1037, OUTAGE], // ER_OUTOFMEMORY
  [1040, REFUSED], // ER_CON_COUNT_ERROR: too many connections
  [1041, OUTAGE], // ER_OUT_OF_RESOURCES
  [1047, REFUSED], // ER_UNKNOWN_COM_ERROR: "WSREP has not yet prepared node for application use"
  [1053, OUTAGE], // ER_SERVER_SHUTDOWN
  [1079, OUTAGE], // ER_SHUTDOWN_COMPLETE
  [1114, OUTAGE], // ER_RECORD_FILE_FULL: no room in the tablespace
  [1129, REFUSED], // ER_HOST_IS_BLOCKED
  [1152, OUTAGE], // ER_ABORTING_CONNECTION
  [1158, OUTAGE], // ER_NET_READ_ERROR
  [1159, OUTAGE], // ER_NET_READ_INTERRUPTED
  [1160, OUTAGE], // ER_NET_ERROR_ON_WRITE
  [1161, OUTAGE], // ER_NET_WRITE_INTERRUPTED
  [1180, OUTAGE], // ER_ERROR_DURING_COMMIT: a member was cut off from its cluster while it replicated
  [1184, OUTAGE], // ER_NEW_ABORTING_CONNECTION
  [1203, REFUSED], // ER_TOO_MANY_USER_CONNECTIONS
  [1226, REFUSED], // ER_USER_LIMIT_REACHED
  [1290, { ...REFUSED, only: /read.only/i }], // ER_OPTION_PREVENTS_STATEMENT: read_only after a failover
  [1836, REFUSED], // ER_READ_ONLY_MODE
  [1927, OUTAGE], // ER_CONNECTION_KILLED (MariaDB)
  [3032, REFUSED], // ER_SERVER_OFFLINE_MODE
  [3100, OUTAGE], // ER_RUN_HOOK_ERROR: a group that is about to lose this member
  [3168, REFUSED], // ER_SERVER_ISNT_AVAILABLE
  [3169, OUTAGE], // ER_SESSION_WAS_KILLED
  [4031, OUTAGE], // ER_CLIENT_INTERACTION_TIMEOUT: idle for too long

  [1020, ROLLED_BACK], // ER_CHECKREAD: changed since the snapshot, with innodb_snapshot_isolation
  [1205, CONTENTION], // ER_LOCK_WAIT_TIMEOUT
  [1213, ROLLED_BACK], // ER_LOCK_DEADLOCK; on a cluster also a conflict with another member
  [1317, CONTENTION], // ER_QUERY_INTERRUPTED
  [1412, CONTENTION], // ER_TABLE_DEF_CHANGED
  [1613, ROLLED_BACK], // ER_XA_RBTIMEOUT
  [1614, ROLLED_BACK], // ER_XA_RBDEADLOCK
  [1615, CONTENTION], // ER_NEED_REPREPARE
  [3058, CONTENTION], // ER_USER_LOCK_DEADLOCK
  [3101, ROLLED_BACK], // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: a conflict with another member of a group
  [3572, CONTENTION], // ER_LOCK_NOWAIT

  [1048, DATA], // ER_BAD_NULL_ERROR
  [1062, DATA], // ER_DUP_ENTRY
  [1153, DATA], // ER_NET_PACKET_TOO_LARGE
  [1264, DATA], // ER_WARN_DATA_OUT_OF_RANGE
  [1265, DATA], // WARN_DATA_TRUNCATED
  [1292, DATA], // ER_TRUNCATED_WRONG_VALUE
  [1364, DATA], // ER_NO_DEFAULT_FOR_FIELD
  [1366, DATA], // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
  [1406, DATA], // ER_DATA_TOO_LONG
  [1411, DATA], // ER_WRONG_VALUE_FOR_TYPE
  [1451, DATA], // ER_ROW_IS_REFERENCED_2
  [1452, DATA], // ER_NO_REFERENCED_ROW_2
  [1586, DATA], // ER_DUP_ENTRY_WITH_KEY_NAME
  [1644, DATA], // ER_SIGNAL_EXCEPTION: a trigger refuses the row
  [1690, DATA], // ER_DATA_OUT_OF_RANGE
  [3140, DATA], // ER_INVALID_JSON_TEXT
  [3819, DATA], // ER_CHECK_CONSTRAINT_VIOLATED
  [4025, DATA], // ER_CONSTRAINT_FAILED (MariaDB)

  [1044, PROGRAMMING], // ER_DBACCESS_DENIED_ERROR
  [1045, PROGRAMMING], // ER_ACCESS_DENIED_ERROR
  [1046, PROGRAMMING], // ER_NO_DB_ERROR
  [1049, PROGRAMMING], // ER_BAD_DB_ERROR
  [1054, PROGRAMMING], // ER_BAD_FIELD_ERROR
  [1064, PROGRAMMING], // ER_PARSE_ERROR
  [1142, PROGRAMMING], // ER_TABLEACCESS_DENIED_ERROR
  [1143, PROGRAMMING], // ER_COLUMNACCESS_DENIED_ERROR
  [1146, PROGRAMMING], // ER_NO_SUCH_TABLE
  [1305, PROGRAMMING], // ER_SP_DOES_NOT_EXIST
])

/** Errors by the codes in https://www.sqlite.org/rescode.html. The low byte is the primary code, the other bytes are its subtype. */
const SQLITE_ERRORS: ReadonlyMap<number, DatabaseFault> = new Map([
  [5, 'contention'], // SQLITE_BUSY
  [6, 'contention'], // SQLITE_LOCKED
  [8, 'outage'], // SQLITE_READONLY
  [10, 'outage'], // SQLITE_IOERR
  [13, 'outage'], // SQLITE_FULL
  [14, 'outage'], // SQLITE_CANTOPEN
  [15, 'outage'], // SQLITE_PROTOCOL
  [1, 'programming'], // SQLITE_ERROR
  [18, 'data'], // SQLITE_TOOBIG
  [19, 'data'], // SQLITE_CONSTRAINT
  [20, 'data'], // SQLITE_MISMATCH
])

/** Piko's own codes for a database that does not respond. */
const OWN_OUTAGES: ReadonlySet<unknown> = new Set(['DATABASE_UNREACHABLE', 'DATABASE_TIMEOUT', 'DATABASE_LOCKED'])

/** The maximum number of errors to check: the error itself and its causes. Other code may have wrapped a database error. */
const MAX_CAUSES = 5

/** Returns the kind of a database error. Undefined if the error does not come from the database or is unknown. */
export function databaseFault(error: unknown): DatabaseFault | undefined {
  for (const one of chain(error)) {
    if (OWN_OUTAGES.has(one.code) || isBrokenConnection(one)) return 'outage'
    const known = serverError(one)
    if (known) return known.fault
    const { errcode } = one
    const sqlite = typeof errcode === 'number' ? SQLITE_ERRORS.get(errcode & 0xff) : undefined
    if (sqlite) return sqlite
  }
  return undefined
}

/** Piko's own codes for a value that can't be sent or read. */
const OWN_REFUSALS: ReadonlySet<unknown> = new Set(['ROW_BROKEN', 'STATEMENT_TOO_LARGE', 'USAGE'])

/** A value that Piko refuses to send to the database. */
export class UnstorableValue extends RangeError {}

/**
 * Whether a statement failed because of a value. Then the other rows of a batch can still be written. True if the database refuses the
 * value, if Piko or the driver can't send it, or if a row that the statement needs can't be read. Also true for a server error that Piko
 * does not know. Never true for an outage, contention, a commit with an unknown result, or a bug.
 */
export function isRefusedValue(error: unknown): boolean {
  const fault = databaseFault(error)
  if (fault !== undefined) return fault === 'data'
  if (!isError(error)) return false
  const { code, errno, sqlState } = fieldsOf(error)
  if (OWN_REFUSALS.has(code) || error instanceof UnstorableValue || isRefusedByRuntime(error)) return true
  return typeof errno === 'number' && typeof sqlState === 'string'
}

/**
 * Whether a batch may have failed because of one item, so that trying the items separately makes sense. The cause is a refused value, or
 * code that failed for a single item. May be used only by callers that keep an item that fails alone.
 */
export function isFaultOfItem(error: unknown): boolean {
  if (isRefusedValue(error)) return true
  return databaseFault(error) === undefined && (error instanceof TypeError || error instanceof RangeError)
}

/** Error codes of Node's own functions, and so of the drivers, for a value that they do not accept. */
const RUNTIME_REFUSALS: ReadonlySet<unknown> = new Set([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
])
/** Messages of errors that the JavaScript engine throws. These errors have no code. */
const ENGINE_REFUSALS: ReadonlySet<unknown> = new Set(['Invalid time value', 'Invalid string length'])

function isRefusedByRuntime(error: Error): boolean {
  if (!(error instanceof TypeError || error instanceof RangeError)) return false
  return RUNTIME_REFUSALS.has(propertyOf(error, 'code')) || ENGINE_REFUSALS.has(propertyOf(error, 'message'))
}

/**
 * Whether the connection broke, could not be opened, or leads to a server that can't be used. Then a new connection is needed. For Piko's
 * own wrapper errors, only the causes are considered.
 */
export function isConnectionLost(error: unknown): boolean {
  return chain(error).some((one) => isBrokenConnection(one) || serverError(one)?.fault === 'outage')
}

/** Whether the error certainly means that the statement did not execute. */
export function isRefusal(error: unknown): boolean {
  return chain(error).some((one) => serverError(one)?.isRefusal)
}

/** Whether the error means that the server has rolled back the statement's transaction. */
export function endsTransaction(error: unknown): boolean {
  return chain(error).some((one) => serverError(one)?.endsTransaction)
}

interface Fields {
  readonly code?: unknown
  readonly errno?: unknown
  readonly errcode?: unknown
  readonly fatal?: unknown
  readonly sqlState?: unknown
  readonly message: string
}

/**
 * Whether the connection broke. mysql2 marks such errors as fatal. Errors that the server reports on purpose, such as a wrong password,
 * have an SQL state.
 */
function isBrokenConnection({ fatal, sqlState }: Fields): boolean {
  return fatal === true && sqlState === undefined
}

function serverError({ errno, message }: Fields): ServerError | undefined {
  const known = typeof errno === 'number' ? SERVER_ERRORS.get(errno) : undefined
  return known?.only?.test(message) === false ? undefined : known
}

function chain(error: unknown): readonly Fields[] {
  return chainOf(error).slice(0, MAX_CAUSES).filter(isError).map(fieldsOf)
}

/** Reads the fields of an error safely. The error may come from user code in a transaction, and then reading it may throw. */
function fieldsOf(error: Error): Fields {
  const message = propertyOf(error, 'message')
  return {
    code: propertyOf(error, 'code'),
    errno: propertyOf(error, 'errno'),
    errcode: propertyOf(error, 'errcode'),
    fatal: propertyOf(error, 'fatal'),
    sqlState: propertyOf(error, 'sqlState'),
    message: typeof message === 'string' ? message : '',
  }
}
