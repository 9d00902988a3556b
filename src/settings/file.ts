import { lstatSync, readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { PATH_VARIABLE } from './environment.ts'
import { type SourceContent } from './reading.ts'
import { readTree } from './tree.ts'

const DEFAULT_FILE = 'settings.toml'

/** The settings file to read, and who named it. */
export interface SettingsFile {
  /** Absolute. */
  readonly path: string
  /** As it was written, for messages. */
  readonly shown: string
  readonly namedBy: string
}

/**
 * The file that was named must exist, so it is returned whether it does or not; `settings.toml` only if there is anything of that name.
 * A link that leads nowhere, a folder or what can't be looked at is no absence: reading it says what is wrong.
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

/** What the file says. */
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
    // Fatal, so that a broken password is not read as another one; a byte order mark is dropped.
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

/** The parser's message goes on to quote the file, which may hold the DSN: only its first line and place are passed on. */
function syntaxProblem(error: unknown): string {
  if (!(error instanceof TomlError)) return 'the settings file is not valid TOML'
  const reason = error.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '') ?? ''
  return `the settings file is not valid TOML at line ${error.line}, column ${error.column}: ${reason}`
}

function remedyOf(code: string): string {
  switch (code) {
    case 'ELOOP':
      return 'it is a link that leads back to itself; replace it by the file'
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
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}

function absolute(cwd: string, path: string): string {
  return isAbsolute(path) ? path : resolve(cwd, path)
}
