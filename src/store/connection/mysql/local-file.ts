import type { SqlFile } from '../../../sql/sql.ts'

/** The content that a `LOAD DATA LOCAL INFILE` statement reads, and the number of warnings that it caused. */
export interface LocalFile {
  readonly chunks: SqlFile
  warnings: number
}

/** The files of statements. The key is the statement's list of values. */
const files = new WeakMap<object, LocalFile>()

/** Gives a `LOAD DATA LOCAL INFILE` statement its file. */
export function withLocalFile(values: readonly unknown[], file: LocalFile): void {
  files.set(values, file)
}

/** The statement's file. Undefined for any other statement, which never sends a file even if the server requests one. */
export function localFileOf(values: unknown): LocalFile | undefined {
  return typeof values === 'object' && values !== null ? files.get(values) : undefined
}
