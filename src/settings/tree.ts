import type { SettingsProblem } from './problem.ts'
import type { Reading, SourceContent } from './reading.ts'
import { SECTIONS, SETTINGS } from './sections.ts'
import { unknownKey } from './suggest.ts'

/** Reads a tree of sections: the parsed file, or overrides. Never shows the value of an unknown key, because it may be a secret. */
export function readTree(tree: Readonly<Record<string, unknown>>, origin: string): SourceContent {
  const readings: Reading[] = []
  const problems: SettingsProblem[] = []
  const reject = (key: string, expected: string): void => {
    problems.push({ key, value: undefined, origin, expected })
  }
  for (const [section, content] of Object.entries(tree)) {
    if (content === undefined) continue
    if (!isTable(content)) {
      reject(section, Object.hasOwn(SECTIONS, section) ? `expected a table, [${section}]` : unknownKey(section))
      continue
    }
    if (Object.keys(content).length === 0 && !Object.hasOwn(SECTIONS, section)) {
      reject(section, `no such section; expected one of ${Object.keys(SECTIONS).join(', ')}`)
    }
    for (const [name, value] of Object.entries(content)) {
      const key = `${section}.${name}`
      if (value === undefined) continue
      if (SETTINGS.has(key)) readings.push({ key, value, origin })
      else reject(key, unknownKey(key))
    }
  }
  return { readings, problems }
}

/** Whether the value is a TOML table: an object that is neither an array nor a date. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}
