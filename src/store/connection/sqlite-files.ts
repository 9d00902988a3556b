// Also loaded by the thread of heartbeats: only what can run with its types stripped.
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

/** A file as it was when SQLite had just opened it. */
export interface OpenedFile {
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/**
 * The files of an open database: its own, then those of its log as far as there are any. SQLite deletes none of them before the last
 * connection is closed. To be asked after SQLite has read something: opening for writing may copy a file, as overlayfs does.
 *
 * The path of the database is the one that was given, so that a link to another file shows; its log lies beside the real file.
 */
export function openedFiles(path: string): OpenedFile[] {
  const given = resolve(path)
  const real = realpathSync(given)
  return [given, `${real}-wal`, `${real}-shm`].flatMap((name) => {
    const found = look(name)
    return found && found !== 'unknown' ? [{ path: name, ...found }] : []
  })
}

/** The first of the files whose path no longer leads to it, and what became of it; undefined: all are there. */
export function lostFile(files: readonly OpenedFile[]): { readonly path: string; readonly how: string } | undefined {
  for (const { path, dev, ino } of files) {
    const found = look(path)
    if (found === 'unknown') continue
    if (!found) return { path, how: 'was deleted or moved' }
    if (found.dev !== dev || found.ino !== ino) return { path, how: 'was replaced by another file' }
  }
  return undefined
}

/** Never opens the file: closing it again would drop SQLite's own locks on it. */
function look(path: string): { dev: bigint; ino: bigint } | 'unknown' | undefined {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found && { dev: found.dev, ino: found.ino }
  } catch {
    // A folder that may no longer be read, a file system that does not answer: the open file is as good as before.
    return 'unknown'
  }
}
