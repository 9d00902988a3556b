import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Dialect } from '../connection/dialect.ts'

/** One version of the schema: the statements to reach it and to undo it. */
export interface MigrationFile {
  /** The number of the version, taken from the file's name: 1, 2, 3 … */
  readonly version: number
  /** The file's name without its extension: `0001_jobs_and_runs`. */
  readonly name: string
  /** The statements that reach this version. */
  readonly up: readonly string[]
  readonly down: readonly string[]
}

/** Returns the package's `migrations` folder. Its relative path is the same from `src/store/migration` and from `dist/store/migration`. */
export function migrationFolder(dialect: Dialect['name']): string {
  return fileURLToPath(new URL(`../../../migrations/${dialect}`, import.meta.url))
}

/** Reads the files `NNNN_name.up.sql` and `.down.sql` of the folder, in the order of their versions. */
export function readMigrations(folder: string): MigrationFile[] {
  return readdirSync(folder)
    .flatMap((file) => {
      const [, name, version] = /^((\d{4})_\w+)\.up\.sql$/.exec(file) ?? []
      if (name === undefined) return []
      const statements = (direction: 'up' | 'down'): string[] =>
        splitStatements(readFileSync(`${folder}/${name}.${direction}.sql`, 'utf8'))
      return [new LazyMigration(Number(version), name, statements)]
    })
    .sort((a, b) => a.version - b.version)
}

/** Reads its files only when its statements are used, because most processes need only the names of the migrations. */
class LazyMigration implements MigrationFile {
  readonly version: number
  readonly name: string
  readonly #statements: (direction: 'up' | 'down') => string[]
  #up: readonly string[] | undefined
  #down: readonly string[] | undefined

  constructor(version: number, name: string, statements: (direction: 'up' | 'down') => string[]) {
    this.version = version
    this.name = name
    this.#statements = statements
  }

  get up(): readonly string[] {
    return (this.#up ??= this.#statements('up'))
  }

  get down(): readonly string[] {
    return (this.#down ??= this.#statements('down'))
  }
}

/**
 * Splits a migration into its statements, without comments (`--` lines and blocks). A statement ends with `;` at the end of a line, so no
 * other line of a statement may end with `;`.
 */
export function splitStatements(text: string): string[] {
  return text
    .replace(/\r\n/g, '\n')
    .replace(/\/\*(?!!)[^]*?\*\//g, '')
    .replace(/^\s*--.*$/gm, '')
    .split(/;[ \t]*(?:--.*)?$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
