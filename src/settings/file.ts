import { lstatSync, readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { isError } from '../errors-read.ts'
import { PATH_VARIABLE } from './environment.ts'
import type { SourceContent } from './reading.ts'
import { readTree } from './tree.ts'

const DEFAULT_FILE = 'settings.toml'

/** The settings file to read, and where its name comes from. */
export interface SettingsFile {
  /** The absolute path of the file. */
  readonly path: string
  /** The path as the user gave it, for messages. */
  readonly shown: string
  readonly namedBy: string
}

/**
 * Returns the settings file. A named file is returned even if it is missing, because it must exist; `settings.toml` is returned only if it
 * exists. A broken link, a folder or an inaccessible file does not count as missing, so reading it reports the problem.
 */
export function findFile(cwd: string, env: NodeJS.ProcessEnv, named: string | undefined): SettingsFile | undefined {
  const fromEnv = env[PATH_VARIABLE]?.trim()
  if (named !== undefined) return { path: absolute(cwd, named), shown: named, namedBy: 'override' }
  if (fromEnv) return { path: absolute(cwd, fromEnv), shown: fromEnv, namedBy: `environment variable ${PATH_VARIABLE}` }
  const path = resolve(cwd, DEFAULT_FILE)
  return isAbsent(path) ? undefined : { path, shown: DEFAULT_FILE, namedBy: 'default' }
}

function isAbsent(path: string): boolean {
  try {
    lstatSync(path)
    return false
  } catch (error) {
    return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'
  }
}

/** Reads the settings file. Returns what is wrong with it as problems, and never throws. */
export function readFile({ path, shown, namedBy }: SettingsFile): SourceContent {
  const origin = `file ${shown}`
  const failed = (expected: string, from = origin): SourceContent => ({
    readings: [],
    problems: [{ key: shown, value: undefined, origin: from, expected }],
  })
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    return failed(`the settings file cannot be read (${codeOf(error)}); ${remedyOf(codeOf(error))}`, namedBy)
  }
  let toml: string
  try {
    // `fatal` refuses invalid bytes, because replacing them could change a password. The decoder removes a byte order mark.
    toml = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return failed('the settings file is not UTF-8 text; save it as UTF-8')
  }
  try {
    return readTree(parse(toml), origin)
  } catch (error) {
    return failed(syntaxProblem(error))
  }
}

/** Returns the parser's message, but only its first line and the position. The rest quotes the file, which may contain the DSN. */
function syntaxProblem(error: unknown): string {
  if (!(error instanceof TomlError)) return 'the settings file is not valid TOML'
  const reason = error.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '') ?? ''
  return `the settings file is not valid TOML at line ${error.line}, column ${error.column}: ${reason}`
}

function remedyOf(code: string): string {
  switch (code) {
    case 'ELOOP':
      return 'it is a link that leads back to itself; replace it with the file'
    case 'EISDIR':
      return 'it is a folder; remove it or name a file'
    case 'EACCES':
    case 'EPERM':
      return 'let the user of this process read it, or name another'
    default:
      return 'create it, or the file to which its link leads, or name another'
  }
}

function codeOf(error: unknown): string {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}

function absolute(cwd: string, path: string): string {
  return isAbsolute(path) ? path : resolve(cwd, path)
}
