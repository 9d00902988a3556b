import { PikoError } from '../errors.ts'
import { aTable, aText, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { check } from './check.ts'
import { readEnvironment } from './environment.ts'
import { findFile, readFile } from './file.ts'
import { settingsError, showValue } from './problem.ts'
import type { SourceContent } from './reading.ts'
import { SETTINGS } from './sections.ts'
import { type Settings, type SettingsOverrides, toSettings } from './settings.ts'
import { readTree } from './tree.ts'

export interface LoadSettingsOptions {
  /** The folder of `settings.toml` and of relative paths. Default: the working directory. */
  readonly cwd?: string | undefined
  /** The environment variables. Default: those of the process. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** A file that must exist; takes precedence over `PIKO_SETTINGS_PATH`. */
  readonly file?: string | undefined
  /** Settings that take precedence over every other source. */
  readonly overrides?: SettingsOverrides | undefined
}

export interface LoadedSettings {
  readonly settings: Settings
  /** Where each key's value comes from: `mysql.dsn` → `environment variable PIKO_MYSQL__DSN`, `file …`, `default` or `override`. */
  readonly origins: ReadonlyMap<string, string>
  /** The printable value of each key, with secrets masked. */
  readonly shown: ReadonlyMap<string, string>
  /** The absolute path of the file; undefined if none was read. */
  readonly file: string | undefined
}

const OPTION_CHECKS: OptionChecks<LoadSettingsOptions> = { cwd: aText, env: aTable, file: aText, overrides: aTable }

const NOTHING: SourceContent = { readings: [], problems: [] }

/**
 * Reads the settings: override > environment > file > default. The file is the option `file`, otherwise `PIKO_SETTINGS_PATH`, otherwise
 * `settings.toml` in the working directory if it exists.
 *
 * @throws PikoError `USAGE` for wrong options; `SETTINGS_INVALID`: one error with every problem of every source, also as `details.problems`
 */
export function loadSettings(options: LoadSettingsOptions = {}): LoadedSettings {
  const { options: given, problems: wrong } = readOptions<LoadSettingsOptions>(
    options,
    OPTION_CHECKS,
    "{ cwd: '/app' }",
  )
  if (wrong.length > 0)
    throw new PikoError('USAGE', problemsText('loadSettings', wrong), { details: { problems: wrong } })
  const { cwd = process.cwd(), env = process.env, overrides = {} } = given
  const file = findFile(cwd, env, given.file)
  const sources = [file ? readFile(file) : NOTHING, readEnvironment(env), readTree(overrides, 'override')]
  const readings = new Map(sources.flatMap((source) => source.readings).map((reading) => [reading.key, reading]))
  const { valueOf, problems } = check(readings)
  const all = [...sources.flatMap((source) => source.problems), ...problems]
  if (all.length > 0) throw settingsError(all)
  return {
    settings: toSettings(valueOf),
    origins: new Map([...SETTINGS.keys()].map((key) => [key, readings.get(key)?.origin ?? 'default'])),
    shown: new Map([...SETTINGS].map(([key, { isSecret }]) => [key, showValue(valueOf(key), isSecret)])),
    file: file?.path,
  }
}
