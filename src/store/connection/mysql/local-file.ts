import type { SqlFile } from '../../../sql/sql.ts'

/** The content for a `LOAD DATA LOCAL INFILE` statement, and the number of its warnings. */
export interface LocalFile {
  readonly chunks: SqlFile
  warnings: number
}

/** The files of statements. The key is the list of the statement's values. */
const files = new WeakMap<object, LocalFile>()

/** Gives a `LOAD DATA LOCAL INFILE` statement its file. */
export function withLocalFile(values: readonly unknown[], file: LocalFile): void {
  files.set(values, file)
}

/** Returns the statement's file. Undefined for any other statement: it never sends a file, even if the server requests one. */
export function localFileOf(values: unknown): LocalFile | undefined {
  return typeof values === 'object' && values !== null ? files.get(values) : undefined
}
