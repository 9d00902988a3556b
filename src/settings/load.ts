import { check } from './check.ts'
import { readEnvironment } from './environment.ts'
import { findFile, readFile } from './file.ts'
import { FORMATS, type SettingsOverrides } from './keys.ts'
import { settingsError } from './problem.ts'
import { type SourceContent } from './reading.ts'
import { type Settings, toSettings } from './settings.ts'
import { readTree } from './tree.ts'

export interface LoadSettingsOptions {
  /** Where `settings.toml` is looked for and relative paths start. Default: the working directory. */
  readonly cwd?: string | undefined
  /** Default: the process's environment. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** A file that must exist; beats `PIKO_SETTINGS_PATH`. */
  readonly file?: string | undefined
  /** Beat every other source. */
  readonly overrides?: SettingsOverrides | undefined
}

export interface LoadedSettings {
  readonly settings: Settings
  /** Where each key's value came from: `mysql.dsn` → `environment variable PIKO_MYSQL__DSN`, `file …`, `default`. */
  readonly origins: ReadonlyMap<string, string>
  /** Absolute path of the file that was read; undefined without one. */
  readonly file: string | undefined
}

const NOTHING: SourceContent = { readings: [], problems: [] }

/**
 * Reads the settings: override > environment > file > default. The file is `PIKO_SETTINGS_PATH`, or `settings.toml` in
 * the working directory if there is one.
 *
 * @throws PikoError `SETTINGS_INVALID`: one error with every problem of every source, also as `details.problems`
 */
export function loadSettings(options: LoadSettingsOptions = {}): LoadedSettings {
  const { cwd = process.cwd(), env = process.env, overrides = {} } = options
  const file = findFile(cwd, env, options.file)
  const sources = [file ? readFile(file) : NOTHING, readEnvironment(env), readTree(overrides, 'override')]
  const readings = new Map(sources.flatMap((source) => source.readings).map((reading) => [reading.key, reading]))
  const { raw, problems } = check(readings)
  const all = [...sources.flatMap((source) => source.problems), ...problems]
  if (all.length > 0) throw settingsError(all)
  return {
    settings: toSettings(raw),
    origins: new Map([...FORMATS.keys()].map((key) => [key, readings.get(key)?.origin ?? 'default'])),
    file: file?.path,
  }
}
