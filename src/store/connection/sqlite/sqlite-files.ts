// The heartbeat's thread also loads this module, so it may import only modules whose types Node can strip.
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

/** A file as it was when SQLite had just opened it. */
export interface OpenedFile {
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/**
 * Returns the files of an open database: its own file, and the files of its log that exist. SQLite deletes none of them before the last
 * connection closes.
 *
 * Call this after SQLite has read from the file: some file systems, such as overlayfs, copy a file when it is opened for writing. The path
 * of the database is the given one, so that a change of a link is noticed. The log is next to the real file.
 */
export function openedFiles(path: string): OpenedFile[] {
  const given = resolve(path)
  const real = realpathSync(given)
  return [given, `${real}-wal`, `${real}-shm`].flatMap((name) => {
    const found = look(name)
    return found && found !== 'unknown' ? [{ path: name, ...found }] : []
  })
}

/** Returns the first file that is no longer at its path, and what happened to it. Undefined if no file is lost. */
export function lostFile(files: readonly OpenedFile[]): { readonly path: string; readonly how: string } | undefined {
  for (const { path, dev, ino } of files) {
    const found = look(path)
    if (found === 'unknown') continue
    if (!found) return { path, how: 'was deleted or moved' }
    if (found.dev !== dev || found.ino !== ino) return { path, how: 'was replaced by another file' }
  }
  return undefined
}

/** Reads the file's identity without opening it. If this process opened and closed the file, SQLite would lose its locks on it. */
function look(path: string): { dev: bigint; ino: bigint } | 'unknown' | undefined {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found && { dev: found.dev, ino: found.ino }
  } catch {
    // The folder can't be read, or the file system does not answer. The open file may still be intact.
    return 'unknown'
  }
}
