import type { SqlFile } from '../../../sql/sql.ts'

/** What a `LOAD DATA LOCAL INFILE` statement reads, and the number of warnings that it caused. */
export interface LocalFile {
  readonly chunks: SqlFile
  warnings: number
}

/** The files of statements, by the statement's own list of values. */
const files = new WeakMap<object, LocalFile>()

/** Gives a `LOAD DATA LOCAL INFILE` statement its file. */
export function withLocalFile(values: readonly unknown[], file: LocalFile): void {
  files.set(values, file)
}

/** Undefined for any other statement: it never sends a file, whatever the server asks for. */
export function localFileOf(values: unknown): LocalFile | undefined {
  return typeof values === 'object' && values !== null ? files.get(values) : undefined
}
