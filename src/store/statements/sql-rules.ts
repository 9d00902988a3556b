import type { SqlExecutor } from '../../sql/sql.ts'
import { SqlScanner } from './sql-scanner.ts'

/** What Piko finds out about a user's statement before sending it. */
export interface InspectedSql {
  /** The statement up to its semicolon. */
  readonly text: string
  readonly placeholders: number
  /** Why the statement is always refused. Undefined if it is not. */
  readonly problem: string | undefined
  /** Why the statement is refused inside a transaction, or outside one. Undefined if it is not. */
  readonly insideProblem: string | undefined
  readonly outsideProblem: string | undefined
}

/** How many tokens to keep. It is enough for `CREATE DEFINER = 'a'@'b' TRIGGER`. */
const HEAD_TOKENS = 12
const MAX_KNOWN = 200
const MAX_KNOWN_CHARACTERS = 100_000
/** The results are cached, because an application has few different statements. */
const known = { mysql: new Map<string, InspectedSql>(), sqlite: new Map<string, InspectedSql>() }

export function inspectSql(text: string, dialect: SqlExecutor['dialect']): InspectedSql {
  const statements = known[dialect]
  const found = statements.get(text)
  if (found) return found
  const inspected = inspect(text, dialect)
  if (text.length > MAX_KNOWN_CHARACTERS) return inspected
  if (statements.size >= MAX_KNOWN) statements.clear()
  statements.set(text, inspected)
  return inspected
}

function inspect(text: string, dialect: SqlExecutor['dialect']): InspectedSql {
  const scanner = new SqlScanner(text, dialect)
  const head: string[] = []
  let assigned = new Assignments()
  const placeholders = new Placeholders(dialect)
  let problem = text.includes('\0') ? ZERO : undefined
  let [begin, end] = [0, text.length]
  let isEnded = false
  let [before, last] = ['', '']
  for (let token = scanner.next(); token !== undefined && !problem; token = scanner.next()) {
    if (token === ';') {
      if (head.length === 0) begin = scanner.position
      else if (!isEnded && !isCompound(head)) {
        isEnded = true
        end = scanner.position - 1
      }
      continue
    }
    if (isEnded) problem = MANY
    if (head[0] === 'set' && head[1] === 'statement' && token === 'for') {
      // MariaDB's SET STATEMENT: the statement to check follows after the variables.
      head.length = 0
      assigned = new Assignments()
      continue
    }
    if (head.length < HEAD_TOKENS) head.push(token)
    if (head[0] === 'set') assigned.take(token)
    if (token === '(' && (last === 'get_lock' || scanner.previous.toLowerCase() === '`get_lock`')) problem = LOCK
    placeholders.take(token, scanner)
    if (before === 'in' && last === '(' && token === ')') problem = 'IN () has no values; omit the condition'
    ;[before, last] = [last, token]
  }
  if (head.length === 0) problem ??= 'it has no statement'
  return {
    text: placeholders.apart(text, begin, end),
    placeholders: placeholders.count,
    problem: problem ?? sessionProblem(head, assigned) ?? placeholders.problem,
    insideProblem: commits(head) ? wouldCommit(head) : undefined,
    outsideProblem: outsideProblem(head),
  }
}

const MANY =
  'it has more than one statement; send each in a separate call, in app.sql.transaction if they belong together'
const ZERO = 'it has a NUL character, where SQLite would stop reading; pass strings with such a character as parameters'
const LOCK =
  'GET_LOCK would outlast this statement on a shared connection; use ctx.lock, or lock rows in app.sql.transaction'
const SAVEPOINT_OUTSIDE = 'a savepoint needs a transaction; use app.sql.transaction'
const TEMPORARY_OUTSIDE =
  'a temporary table belongs to one connection, and the next statement may use another; create, use and drop it in one app.sql.transaction'

/** The kinds of objects whose CREATE statement may contain other statements. */
const COMPOUND = new Set(['trigger', 'procedure', 'function', 'event', 'package'])

function isCompound(head: readonly string[]): boolean {
  return head[0] === 'create' && head.some((word) => COMPOUND.has(word))
}

/**
 * Returns the problem of a statement that would begin or end a transaction, or change the connection for later statements of other callers.
 */
function sessionProblem(head: readonly string[], assigned: Assignments): string | undefined {
  const [verb = '', next = ''] = head
  const name = `${verb}${/^\w/.test(next) ? ` ${next}` : ''}`.toUpperCase()
  const transaction = `${name} is not allowed: app.sql.transaction and ctx.commit begin, commit and roll back; throw an error to roll back`
  const session = `${name} would outlast this statement on a shared connection; omit it`
  switch (verb) {
    case 'begin':
    case 'commit':
    case 'end':
    case 'xa':
      return transaction
    case 'start':
      return next === 'transaction' ? transaction : undefined
    case 'rollback':
      return head.includes('to') ? undefined : transaction
    case 'use':
    case 'lock':
    case 'unlock':
    case 'backup':
    case 'handler':
    case 'prepare':
    case 'execute':
    case 'deallocate':
    case 'attach':
    case 'detach':
      return session
    case 'flush':
      return head.includes('lock') || head.includes('export') ? session : undefined
    case 'set':
      return assigned.isLocal ? undefined : session
    case 'pragma':
      return setsPragma(head) ? session : undefined
    default:
      return undefined
  }
}

/** Pragmas that are allowed, because they affect only the file or only read. */
const PRAGMAS = new Set([
  ...['user_version', 'application_id', 'wal_checkpoint', 'optimize', 'incremental_vacuum', 'integrity_check'],
  ...['quick_check', 'foreign_key_check', 'foreign_key_list', 'table_info', 'table_xinfo', 'table_list'],
  ...['index_info', 'index_xinfo', 'index_list'],
])

function setsPragma(head: readonly string[]): boolean {
  const name = head[2] === '.' ? head[3] : head[1]
  return (head.includes('=') || head.includes('(')) && !PRAGMAS.has(name ?? '')
}

const SAVEPOINTS = new Set(['savepoint', 'release', 'rollback'])

/** The first words of statements before which MySQL commits the transaction. */
const COMMITTING = new Set([
  ...['alter', 'create', 'drop', 'rename', 'truncate', 'grant', 'revoke', 'install', 'uninstall'],
  ...['optimize', 'repair', 'flush', 'reset', 'vacuum', 'reindex', 'cache', 'check', 'import'],
  ...['change', 'start', 'stop', 'clone', 'shutdown', 'restart'],
])
const wouldCommit = (head: readonly string[]): string =>
  `${String(head[0]).toUpperCase()} would commit the transaction on MySQL; call it before the transaction, with app.sql.exec`

function commits(head: readonly string[]): boolean {
  const [verb = '', next = ''] = head
  if (verb === 'load') return next === 'index'
  if (verb === 'analyze') return ['table', 'local', 'no_write_to_binlog'].includes(next)
  return COMMITTING.has(verb) && !(isTemporary(head, 'temporary') && head.includes('table'))
}

function outsideProblem(head: readonly string[]): string | undefined {
  if (SAVEPOINTS.has(head[0] ?? '')) return SAVEPOINT_OUTSIDE
  const isMade = head[0] === 'create' && isTemporary(head, 'temporary', 'temp')
  return isMade ? TEMPORARY_OUTSIDE : undefined
}

function isTemporary(head: readonly string[], ...words: readonly string[]): boolean {
  return words.includes(head[head[1] === 'or' ? 3 : 1] ?? '')
}

const TOUCHES = /[\w$@.'"`\u0080-\uffff]/

class Placeholders {
  count = 0
  problem: string | undefined
  readonly #isNamed: RegExp
  readonly #isMysql: boolean
  /** The positions where a blank must be inserted. */
  readonly #touching: number[] = []

  constructor(dialect: SqlExecutor['dialect']) {
    this.#isMysql = dialect === 'mysql'
    // On MySQL an @ starts a variable and not a named parameter.
    this.#isNamed = dialect === 'mysql' ? /^:$/ : /^[:@$]$/
  }

  take(token: string, { following, preceding, position }: SqlScanner): void {
    if (token === '?') {
      this.count += 1
      if (this.#isMysql && TOUCHES.test(preceding)) this.#touching.push(position - 1)
      if (this.#isMysql && TOUCHES.test(following)) this.#touching.push(position)
      if (/[?\d]/.test(following)) this.#refuse(token, following)
    } else if (/\w/.test(following) && this.#isNamed.test(token)) this.#refuse(token, following)
  }

  /**
   * Returns the statement with a blank between each placeholder and a word or a quote next to it. MySQL's driver writes the values into the
   * text, where `LIMIT?` would become `LIMIT1`, and `x?` the bytes of a hexadecimal number.
   */
  apart(text: string, begin: number, end: number): string {
    let [result, from] = ['', begin]
    for (const at of this.#touching) {
      result += `${text.slice(from, at)} `
      from = at
    }
    return result + text.slice(from, end)
  }

  #refuse(token: string, following: string): void {
    this.problem ??= `it has the placeholder ${token}${following}; write ? for each parameter, in the order of their values`
  }
}

/** What a `SET` assigns. Variables of the user or of the server do not affect the session. */
class Assignments {
  isLocal = true
  #isAtTarget = false
  #isGlobal = false
  #depth = 0

  take(token: string): void {
    if (this.#isAtTarget) this.#target(token)
    if (token === '(') this.#depth += 1
    else if (token === ')') this.#depth -= 1
    else if (this.#depth === 0 && (token === 'set' || token === ',')) this.#isAtTarget = true
  }

  #target(token: string): void {
    this.#isAtTarget = false
    if (token === '@') return
    if (GLOBAL.has(token)) this.#isGlobal = true
    else if (!this.#isGlobal || SESSION.has(token)) this.isLocal = false
  }
}

const GLOBAL = new Set(['global', 'persist', 'persist_only', 'statement'])
const SESSION = new Set(['session', 'local', '@@'])
