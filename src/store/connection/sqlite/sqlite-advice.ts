import { isError, propertyOf } from '../../../errors-read.ts'
import { accessSync, constants, lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { PikoError } from '../../../errors.ts'

/** Result codes of SQLite: https://www.sqlite.org/rescode.html */
const BUSY = 5
const READONLY = 8
const CORRUPT = 11
const FULL = 13
const NOTADB = 26

/** Returns advice for a file that can't be opened, based on the error and on what is at the path. */
export function sqliteAdvice(path: string, error: unknown): string {
  switch (primaryCode(error)) {
    case NOTADB:
      return 'the file is not an SQLite database, or is encrypted: set [sqlite] path to another file, or move this one away'
    case BUSY:
      return 'another program or connection has locked the file: end its transaction, then try again'
    case CORRUPT:
      return 'the file is damaged: restore a backup, or save the readable rows with the sqlite3 command .recover'
    default:
      return placeAdvice(path) ?? 'check the path, its permissions and that it is an SQLite database'
  }
}

/**
 * Returns an error with advice if a statement could not write because the file is read-only or has no more space. Undefined for any other
 * error.
 */
export function unwritableError(path: string, error: unknown): PikoError | undefined {
  const code = primaryCode(error)
  if (code === FULL) {
    return new PikoError(
      'DATABASE_UNREACHABLE',
      `cannot write to SQLite file ${path}: its disk is full, or the file has reached its max_page_count; free some space, then try again`,
      { cause: error, details: { location: `SQLite file ${path}`, reason: 'full' } },
    )
  }
  if (code !== READONLY) return undefined
  const advice = placeAdvice(path) ?? 'check the permissions of the file, of its folder and of the file system'
  return new PikoError('DATABASE_UNREACHABLE', `cannot write to SQLite file ${path}: ${advice}`, {
    cause: error,
    details: { location: `SQLite file ${path}`, reason: 'read-only' },
  })
}

function placeAdvice(path: string): string | undefined {
  const file = resolve(path)
  const link = linkProblem(file)
  if (link !== undefined) return link
  if (kindOf(file) === 'folder')
    return `it is a folder: name a file in it, such as ${path.replace(/[/\\]$/, '')}/piko.db`
  let folder = dirname(file)
  while (kindOf(folder) === 'nothing' && folder !== dirname(folder)) folder = dirname(folder)
  if (kindOf(folder) === 'file') return `${folder} is a file, and can't hold the database: name a file in a folder`
  return [file, folder].map(writeProblem).find((problem) => problem !== undefined)
}

/** Finds a broken link. SQLite creates the target file of a link, but not its folder. */
function linkProblem(path: string): string | undefined {
  if (!(lstatOf(path)?.isSymbolicLink() ?? false)) return undefined
  const leadsTo = resolve(dirname(path), readlinkSync(path))
  try {
    statSync(path)
    return undefined
  } catch (error) {
    if (propertyOf(error, 'code') === 'ELOOP') return `${path} is a link that leads back to itself: replace it`
    return kindOf(dirname(leadsTo)) === 'nothing'
      ? `${path} is a link to ${leadsTo}, whose folder is missing: create the folder or replace the link`
      : undefined
  }
}

function lstatOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    // The path goes through a folder that can't be read, or through a link that leads back to itself.
    return undefined
  }
}

function kindOf(path: string): 'folder' | 'file' | 'nothing' {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (!found) return 'nothing'
    return found.isDirectory() ? 'folder' : 'file'
  } catch {
    // The path goes through a folder that can't be read, or through a link that leads back to itself. `writeProblem` finds out which.
    return 'nothing'
  }
}

function writeProblem(path: string): string | undefined {
  try {
    accessSync(path, kindOf(path) === 'folder' ? constants.W_OK | constants.X_OK : constants.W_OK)
    return undefined
  } catch (error) {
    const code = propertyOf(error, 'code')
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') return `a link in ${path} leads back to itself: replace it`
    if (code === 'EROFS') return `${path} is on a read-only file system`
    const user = process.geteuid ? `user ${process.geteuid()}` : 'the user of this process'
    return `${user} is not allowed to write to ${path}: SQLite needs the file and its folder; grant both, or set [sqlite] path to another file`
  }
}

function primaryCode(error: unknown): number | undefined {
  const code: unknown = isError(error) && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}
