import type { SqlExecutor } from '../../sql/sql.ts'
import type { ColumnKind } from './model-columns.ts'

type SqlDialect = SqlExecutor['dialect']

/** The default maximum length of a string in an index, in characters, because InnoDB limits the bytes of an index. */
const MAX_KEY_CHARACTERS = 191
/**
 * The maximum length of a VARCHAR. Longer strings have another type, because all VARCHAR values of a row together may have at most 65,535
 * bytes.
 */
const MAX_VARCHAR_CHARACTERS = 255
/** A MEDIUMTEXT has at most 16 MB, and a character up to 4 bytes. */
const MAX_MEDIUMTEXT_CHARACTERS = 4_000_000
/** The minimum length of a VARCHAR, because an enum may get longer members later. */
const MIN_VARCHAR_CHARACTERS = 32

/** Returns the column type for a kind of value, without nullability. */
export function sqlType(dialect: SqlDialect, kind: ColumnKind, isKey: boolean): string {
  return dialect === 'mysql' ? mysqlType(kind, isKey) : sqliteType(kind)
}

function mysqlType(kind: ColumnKind, isKey: boolean): string {
  switch (kind.is) {
    case 'text':
      return mysqlText(kind, isKey)
    case 'integer':
      return kind.bits === 32 ? 'INT' : 'BIGINT'
    case 'double':
      return 'DOUBLE'
    case 'boolean':
      return 'BOOLEAN'
    case 'instant':
      return 'DATETIME(3)'
    case 'json':
      return 'JSON'
    case 'bytes':
      return isKey ? `VARBINARY(${MAX_KEY_CHARACTERS})` : 'LONGBLOB'
  }
}

function mysqlText({ maxLength, format }: Extract<ColumnKind, { is: 'text' }>, isKey: boolean): string {
  if (format === 'uuid') return 'CHAR(36)'
  if (format === 'date') return 'DATE'
  if (maxLength === undefined) return isKey ? `VARCHAR(${MAX_KEY_CHARACTERS})` : 'MEDIUMTEXT'
  if (isKey || maxLength <= MAX_VARCHAR_CHARACTERS) return `VARCHAR(${Math.max(MIN_VARCHAR_CHARACTERS, maxLength)})`
  return maxLength <= MAX_MEDIUMTEXT_CHARACTERS ? 'MEDIUMTEXT' : 'LONGTEXT'
}

function sqliteType(kind: ColumnKind): string {
  switch (kind.is) {
    case 'text':
    case 'instant':
    case 'json':
      return 'TEXT'
    case 'integer':
    case 'boolean':
      return 'INTEGER'
    case 'double':
      return 'REAL'
    case 'bytes':
      return 'BLOB'
  }
}

/** Returns the type of the column with the start of the window. Its value comes from the run. */
export function windowType(dialect: SqlDialect): string {
  return sqlType(dialect, { is: 'instant' }, true)
}

/** Returns the type of the column with the fence. Its value comes from the run. */
export function fenceType(dialect: SqlDialect): string {
  return sqlType(dialect, { is: 'integer', bits: 64 }, true)
}
