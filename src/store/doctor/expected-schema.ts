import type { Dialect } from '../connection/dialect.ts'
import { migrationFolder, readMigrations } from '../migration/migration-files.ts'

/** The tables, columns and indexes that the migrations create. */
export interface ExpectedSchema {
  readonly tables: ReadonlyMap<string, ExpectedTable>
}

/** A table, and for each of its columns and indexes the statement that adds this part to an existing table. */
export interface ExpectedTable {
  /** The statements that create the table in its current form. */
  readonly statements: readonly string[]
  readonly columns: ReadonlyMap<string, string>
  readonly indexes: ReadonlyMap<string, string>
}

interface Table {
  statements: string[]
  readonly columns: Map<string, string>
  readonly indexes: Map<string, string>
}

/** Reads the schema from the package's migrations. */
export function expectedSchema(dialect: Dialect['name'], folder = migrationFolder(dialect)): ExpectedSchema {
  return schemaOf(readMigrations(folder).flatMap(({ up }) => up))
}

/**
 * Returns the schema after these statements. They must be in the style of Piko's migrations: each column and key of a new table is on a
 * line of its own. Statements that change neither tables nor indexes have no effect. Pure.
 */
export function schemaOf(statements: readonly string[]): ExpectedSchema {
  const tables = new Map<string, Table>()
  for (const statement of statements) apply(tables, statement)
  return { tables }
}

function apply(tables: Map<string, Table>, statement: string): void {
  const created = /^CREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\(([^]*)\)/i.exec(statement)
  if (created) return createTable(tables, created[1] ?? '', created[2] ?? '', statement)
  const dropped = /^DROP TABLE (?:IF EXISTS )?(\w+)/i.exec(statement)
  if (dropped) return void tables.delete(dropped[1] ?? '')
  const indexed = /^CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+) ON (\w+)/i.exec(statement)
  if (indexed) return void tables.get(indexed[2] ?? '')?.indexes.set(indexed[1] ?? '', statement)
  const unindexed = /^DROP INDEX (?:IF EXISTS )?(\w+)/i.exec(statement)
  if (unindexed) {
    for (const { indexes } of tables.values()) indexes.delete(unindexed[1] ?? '')
    return
  }
  const altered = /^ALTER TABLE (\w+)\s+([^]*)/i.exec(statement)
  if (altered) alterTable(tables, altered[1] ?? '', altered[2] ?? '', statement)
}

function createTable(tables: Map<string, Table>, name: string, body: string, statement: string): void {
  const table: Table = { statements: [statement], columns: new Map(), indexes: new Map() }
  for (const line of body.split('\n').map((text) => text.trim().replace(/,$/, ''))) addLine(name, table, line)
  tables.set(name, table)
}

/** Adds a column or key, from a line of a new table or a part of `ALTER TABLE … ADD`. */
function addLine(name: string, table: Table, line: string): void {
  const key = /^(?:UNIQUE )?(?:KEY|INDEX) (\w+)/i.exec(line)
  if (key) table.indexes.set(key[1] ?? '', `ALTER TABLE ${name} ADD ${line}`)
  const column = /^(?!PRIMARY|UNIQUE|KEY|INDEX|CHECK|CONSTRAINT|FOREIGN)`?([a-z]\w*)`?\s+[A-Z]/.exec(line)
  if (column) table.columns.set(column[1] ?? '', `ALTER TABLE ${name} ADD COLUMN ${line}`)
}

function alterTable(tables: Map<string, Table>, name: string, changes: string, statement: string): void {
  const table = tables.get(name)
  if (!table) return
  const renamed = /^RENAME TO (\w+)/i.exec(changes)
  if (renamed) {
    tables.delete(name)
    const to = renamed[1] ?? ''
    tables.set(to, renamedTable(table, name, to))
    return
  }
  table.statements = [...table.statements, statement]
  // A comma between two changes is followed by a verb. All other commas are inside a definition.
  for (const change of changes.split(/,\s*(?=(?:ADD|DROP|MODIFY|CHANGE|RENAME)\b)/i)) {
    addLine(name, table, /^ADD (?:COLUMN )?([^]*)/i.exec(change)?.[1]?.trim() ?? '')
    const column = /^DROP COLUMN (\w+)/i.exec(change)
    if (column) table.columns.delete(column[1] ?? '')
    const key = /^DROP (?:KEY|INDEX) (\w+)/i.exec(change)
    if (key) table.indexes.delete(key[1] ?? '')
  }
}

/** Returns a table under its new name. The statements get this name too. */
function renamedTable({ statements, columns, indexes }: Table, from: string, to: string): Table {
  const name = new RegExp(`\\b${from}\\b`, 'g')
  const all = (parts: Map<string, string>) =>
    new Map([...parts].map(([key, text]) => [key, text.replaceAll(name, to)] as const))
  return {
    statements: statements.map((text) => text.replaceAll(name, to)),
    columns: all(columns),
    indexes: all(indexes),
  }
}
