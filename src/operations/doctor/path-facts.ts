import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { messageOf, propertyOf } from '../../errors-read.ts'
import type { LoadedSettings } from '../../settings/load.ts'

/** A path in the settings that this process can't use. */
export interface PathFact {
  /** The key of the setting, such as `sinks.spill_dir`. */
  readonly key: string
  readonly origin: string
  readonly use: 'writable folder' | 'readable file'
  /** The absolute path. */
  readonly path: string
  /** The file or folder that prevents the use of the path: the path itself, or the nearest existing folder above it. */
  readonly at: string
  readonly problem: string
}

type Paths = Pick<LoadedSettings, 'settings' | 'origins'>

/**
 * Returns the paths in the settings that this process can't use. A default folder is checked only if it exists, because few apps need it.
 */
export function unusablePaths({ settings, origins }: Paths): PathFact[] {
  const { sinks, items, http } = settings
  const paths = [
    { key: 'sinks.spill_dir', use: 'writable folder', given: sinks.spillDir },
    { key: 'items.bodies', use: 'writable folder', given: items.bodies },
    { key: 'http.tokens_file', use: 'readable file', given: http.tokensFile },
  ] as const
  return paths.flatMap(({ key, use, given }): PathFact[] => {
    const origin = origins.get(key) ?? 'default'
    if (given === '') return []
    const path = resolve(given)
    const at = use === 'readable file' ? path : existing(path)
    if (origin === 'default' && at !== path) return []
    const problem = use === 'readable file' ? fileProblem(path) : folderProblem(at)
    return problem === undefined ? [] : [{ key, origin, use, path, at, problem }]
  })
}

/** Returns the path itself, or the nearest folder above it that exists. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (dirname(at) === at || isThere(at)) return at
}

function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (error) {
    // Any other error, such as EACCES, is the problem to report.
    return !['ENOENT', 'ENOTDIR'].includes(String(propertyOf(error, 'code')))
  }
}

function folderProblem(at: string): string | undefined {
  return problemOf(() => {
    if (!statSync(at).isDirectory()) throw new Error(`${at} is not a folder`)
    accessSync(at, constants.W_OK | constants.X_OK)
  })
}

function fileProblem(path: string): string | undefined {
  return problemOf(() => {
    if (!statSync(path).isFile()) throw new Error(`${path} is not a file`)
    accessSync(path, constants.R_OK)
  })
}

function problemOf(use: () => void): string | undefined {
  try {
    use()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
