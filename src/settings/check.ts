import convict from 'convict'
import { type KeyFormat } from './format.ts'
import { FORMATS, KEYS, type RawSettings } from './keys.ts'
import { type SettingsProblem, showValue } from './problem.ts'
import { type Reading } from './reading.ts'
import { isTable } from './tree.ts'

// A custom format: convict's own ones turn a text into a number (`"12abc"` → 12), also in a file.
convict.addFormat({
  name: 'piko',
  validate(value: unknown, item) {
    const { accepts, report } = item as unknown as SchemaItem
    const complaint = accepts.complaint(value)
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
  readonly accepts: KeyFormat<unknown>
  /** convict joins all problems into one text; this keeps them as data. */
  readonly report: (value: unknown, complaint: string) => void
}

/** Applies the readings to the defaults and checks every key. `raw` is valid only if there are no problems. */
export function check(readings: ReadonlyMap<string, Reading>): { raw: RawSettings; problems: SettingsProblem[] } {
  const problems: SettingsProblem[] = []
  const reportFor =
    (key: string, { isSecret }: KeyFormat<unknown>) =>
    (value: unknown, expected: string) => {
      const origin = readings.get(key)?.origin ?? 'default'
      problems.push({ key, value: showValue(value, isSecret), origin, expected })
    }
  const config = convict(schema(reportFor), { env: {}, args: [] })
  for (const { key, value } of readings.values()) {
    // convict would read a table or a date as a group of keys.
    if (isTable(value) || value instanceof Date) reject(key, value, reportFor)
    else config.set(key, value as never)
  }
  try {
    config.validate({ allowed: 'strict' })
  } catch (error) {
    if (problems.length === 0) throw error
  }
  return { raw: config.getProperties() as unknown as RawSettings, problems }
}

type Sections = Record<string, Record<string, unknown>>
type ReportFor = (key: string, format: KeyFormat<unknown>) => SchemaItem['report']

function schema(reportFor: ReportFor): convict.Schema<Sections> {
  const item = (key: string, accepts: KeyFormat<unknown>): SchemaItem => ({
    default: accepts.default,
    doc: accepts.doc,
    format: 'piko',
    sensitive: accepts.isSecret,
    accepts,
    report: reportFor(key, accepts),
  })
  return Object.fromEntries(
    Object.entries(KEYS).map(([section, keys]) => [
      section,
      Object.fromEntries(
        Object.entries<KeyFormat<unknown>>(keys).map(([key, format]) => [key, item(`${section}.${key}`, format)]),
      ),
    ]),
  )
}

function reject(key: string, value: unknown, reportFor: ReportFor): void {
  const format = FORMATS.get(key)
  const complaint = format?.complaint(value)
  if (format && complaint !== undefined) reportFor(key, format)(value, complaint)
}
