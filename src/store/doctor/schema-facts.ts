import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { type MigrationStatus, migrationStatus } from '../migration/migrate.ts'
import { type ExpectedSchema, expectedSchema } from './expected-schema.ts'

/** A part of the schema that the migrations create but that is missing in the database. */
export interface LackingPart {
  readonly kind: 'table' | 'column' | 'index'
  readonly table: string
  readonly name: string
  /** The statements that add the missing part. */
  readonly statements: readonly string[]
}

export interface SchemaFacts {
  readonly migration: MigrationStatus
  readonly lacking: readonly LackingPart[]
  /** Triggers on Piko's tables. Piko itself creates none. */
  readonly triggers: readonly { readonly table: string; readonly name: string }[]
  /** Tables that are not stored by InnoDB. */
  readonly engines: readonly { readonly table: string; readonly engine: string }[]
  /** Indexes that a person has hidden from the optimizer. */
  readonly hidden: readonly { readonly table: string; readonly index: string }[]
  /** Whether the server is MariaDB. Its statement that makes a hidden index visible again is different. */
  readonly isMariadb: boolean
}

/** The names in a database: tables, `table.column` and `table.index`. */
interface Found {
  readonly tables: ReadonlySet<string>
  readonly columns: ReadonlySet<string>
  readonly indexes: ReadonlySet<string>
}

/** Compares the schema of a database with the one that the package's migrations create. */
export async function schemaFacts(database: Database): Promise<SchemaFacts> {
  const migration = await migrationStatus(database)
  // Until all migrations are applied, no part counts as missing, because a pending migration may still create it.
  const isCurrent = migration.migrations.every(({ state }) => state === 'applied')
  const { dialect } = database
  const read = dialect.name === 'mysql' ? mysqlFound : sqliteFound
  const { found, ...rest } = await read(database)
  return { migration, lacking: isCurrent ? lackingOf(expectedSchema(dialect.name), found) : [], ...rest }
}

function lackingOf({ tables }: ExpectedSchema, found: Found): LackingPart[] {
  return [...tables].flatMap(([table, { statements, columns, indexes }]): LackingPart[] => {
    if (!found.tables.has(table)) {
      const created = [...indexes.values()].filter((text) => text.startsWith('CREATE'))
      return [{ kind: 'table', table, name: table, statements: [...statements, ...created] }]
    }
    const lacking = (kind: 'column' | 'index', all: ReadonlyMap<string, string>, has: ReadonlySet<string>) =>
      [...all].flatMap(([name, text]) =>
        has.has(`${table}.${name}`) ? [] : [{ kind, table, name, statements: [text] }],
      )
    return [...lacking('column', columns, found.columns), ...lacking('index', indexes, found.indexes)]
  })
}

type Read = Omit<SchemaFacts, 'migration' | 'lacking'> & { readonly found: Found }

async function mysqlFound({ db }: Database): Promise<Read> {
  const tables = await sql<{ name: string; engine: string | null; version: string }>`
    SELECT TABLE_NAME AS name, ENGINE AS engine, VERSION() AS version FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'piko\\_%'`.execute(db)
  const columns = await sql<{ name: string }>`
    SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME) AS name FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'piko\\_%'`.execute(db)
  // MySQL marks a hidden index in the column IS_VISIBLE, MariaDB in IGNORED. Older servers have neither.
  const indexes = await sql<Readonly<Record<string, unknown>>>`
    SELECT * FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'piko\\_%' AND SEQ_IN_INDEX = 1`.execute(db)
  const triggers = await sql<{ table: string; name: string }>`
    SELECT EVENT_OBJECT_TABLE AS 'table', TRIGGER_NAME AS name FROM information_schema.TRIGGERS
    WHERE TRIGGER_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE LIKE 'piko\\_%'`.execute(db)
  const parts = indexes.rows.map((row) => ({
    table: String(row['TABLE_NAME']),
    index: String(row['INDEX_NAME']),
    isHidden: row['IS_VISIBLE'] === 'NO' || row['IGNORED'] === 'YES',
  }))
  return {
    found: {
      tables: new Set(tables.rows.map(({ name }) => name)),
      columns: new Set(columns.rows.map(({ name }) => name)),
      indexes: new Set(parts.map(({ table, index }) => `${table}.${index}`)),
    },
    triggers: triggers.rows,
    engines: tables.rows.flatMap(({ name, engine }) =>
      engine === null || engine.toLowerCase() === 'innodb' ? [] : [{ table: name, engine }],
    ),
    hidden: parts.flatMap(({ table, index, isHidden }) => (isHidden ? [{ table, index }] : [])),
    isMariadb: /mariadb/i.test(tables.rows[0]?.version ?? ''),
  }
}

async function sqliteFound({ db }: Database): Promise<Read> {
  const objects = await sql<{ type: string; table: string; name: string }>`
    SELECT type, tbl_name AS "table", name FROM sqlite_schema WHERE tbl_name LIKE 'piko\\_%' ESCAPE '\\'`.execute(db)
  const columns = await sql<{ name: string }>`
    SELECT s.name || '.' || c.name AS name FROM sqlite_schema s, pragma_table_info(s.name) c
    WHERE s.type = 'table' AND s.name LIKE 'piko\\_%' ESCAPE '\\'`.execute(db)
  const ofType = (type: string) => objects.rows.filter((row) => row.type === type)
  return {
    found: {
      tables: new Set(ofType('table').map(({ name }) => name)),
      columns: new Set(columns.rows.map(({ name }) => name)),
      indexes: new Set(ofType('index').map(({ table, name }) => `${table}.${name}`)),
    },
    triggers: ofType('trigger').map(({ table, name }) => ({ table, name })),
    engines: [],
    hidden: [],
    isMariadb: false,
  }
}
