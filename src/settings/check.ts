import convict from 'convict'
import { type SettingsProblem, showValue } from './problem.ts'
import type { Reading } from './reading.ts'
import { SECTIONS, SETTINGS } from './sections.ts'
import type { Section, Setting } from './setting.ts'
import { isTable } from './tree.ts'

// This format replaces convict's own, which convert text to a number (`"12abc"` → 12), even from a file.
convict.addFormat({
  name: 'piko',
  validate(value: unknown, item) {
    const { setting, report } = item as unknown as SchemaItem
    const complaint = setting.complaint(value)
    if (complaint === undefined) return
    report(value, complaint)
    throw new Error(complaint)
  },
})

interface SchemaItem {
  readonly default: unknown
  readonly doc: string
  readonly format: 'piko'
  readonly sensitive: boolean
  readonly setting: Setting
  /** Receives each problem as data. convict would only return one message with all problems. */
  readonly report: (value: unknown, complaint: string) => void
}

export interface Checked {
  /** Returns the value of a key in the form that it has in the settings file. Only valid if there are no problems. */
  readonly valueOf: (key: string) => unknown
  readonly problems: readonly SettingsProblem[]
}

/** Applies the values of the sources to the defaults, and checks every key. */
export function check(readings: ReadonlyMap<string, Reading>): Checked {
  const problems: SettingsProblem[] = []
  const reportFor =
    (key: string, { isSecret }: Setting) =>
    (value: unknown, expected: string) => {
      const origin = readings.get(key)?.origin ?? 'default'
      problems.push({ key, value: showValue(value, isSecret), origin, expected })
    }
  const config = convict(schema(reportFor), { env: {}, args: [] })
  for (const { key, value } of readings.values()) {
    // convict would treat a table or a date as a group of keys.
    if (isTable(value) || value instanceof Date) reject(key, value, reportFor)
    else config.set(key, value as never)
  }
  try {
    config.validate({ allowed: 'strict' })
  } catch (error) {
    if (problems.length === 0) throw error
  }
  return { valueOf: (key) => config.get(key), problems }
}

type Sections = Record<string, Record<string, unknown>>
type ReportFor = (key: string, setting: Setting) => SchemaItem['report']

function schema(reportFor: ReportFor): convict.Schema<Sections> {
  const item = (key: string, setting: Setting): SchemaItem => ({
    default: setting.default,
    doc: setting.help,
    format: 'piko',
    sensitive: setting.isSecret,
    setting,
    report: reportFor(key, setting),
  })
  return Object.fromEntries(
    Object.entries<Section>(SECTIONS).map(([section, settings]) => [
      section,
      Object.fromEntries(
        Object.values(settings).map((setting) => [setting.key, item(`${section}.${setting.key}`, setting)]),
      ),
    ]),
  )
}

function reject(key: string, value: unknown, reportFor: ReportFor): void {
  const setting = SETTINGS.get(key)
  const complaint = setting?.complaint(value)
  if (setting && complaint !== undefined) reportFor(key, setting)(value, complaint)
}
