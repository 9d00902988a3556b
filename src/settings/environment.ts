import type { SettingsProblem } from './problem.ts'
import type { Reading, SourceContent } from './reading.ts'
import { envName, SETTINGS } from './sections.ts'
import { isServiceLink } from './service-links.ts'
import { unknownVariable } from './suggest.ts'

/** The variable that names the settings file. */
export const PATH_VARIABLE = 'PIKO_SETTINGS_PATH'

/** Matches variables of Piko's own tests and benchmarks. */
const FOREIGN = /^PIKO_(?:TEST|BENCH)_/

/** Variables that only the command line uses. */
const OF_COMMANDS = new Set(['PIKO_URL', 'PIKO_TOKEN'])

/** Reads the `PIKO_…` variables. Ignores empty ones. Never shows the value of an unknown one. */
export function readEnvironment(env: NodeJS.ProcessEnv): SourceContent {
  const readings: Reading[] = []
  const problems: SettingsProblem[] = []
  const keys = new Map([...SETTINGS].map(([key, setting]) => [envName(key), { key, setting }]))
  for (const [name, raw] of Object.entries(env)) {
    const text = raw?.trim() ?? ''
    if (
      text === '' ||
      !name.startsWith('PIKO_') ||
      name === PATH_VARIABLE ||
      FOREIGN.test(name) ||
      OF_COMMANDS.has(name)
    )
      continue
    const origin = `environment variable ${name}`
    const known = keys.get(name)
    if (known) readings.push({ key: known.key, value: known.setting.fromEnv(text), origin })
    else if (!isServiceLink(name, text))
      problems.push({ key: name, value: undefined, origin: 'environment', expected: unknownVariable(name) })
  }
  return { readings, problems }
}
