import { inspect } from 'node:util'
import { maskSecret } from './mask.ts'
import { SECTIONS } from './sections.ts'
import type { Section, SectionOverrides, SectionValues } from './setting.ts'

type Sections = typeof SECTIONS

/** The settings of one process, complete and checked. Durations are in milliseconds. */
export type Settings = { readonly [S in keyof Sections]: SectionValues<Sections[S]> }

/** Any part of the settings, with keys and values as in the settings file. */
export type SettingsOverrides = { readonly [S in keyof Sections]?: SectionOverrides<Sections[S]> | undefined }

/** Converts checked values to the form that the program uses. `valueOf` returns them by full key. */
export function toSettings(valueOf: (key: string) => unknown): Settings {
  const sections = Object.entries<Section>(SECTIONS).map(([name, section]) => {
    const values = Object.entries(section).map(([property, setting]) => [
      property,
      setting.parse(valueOf(`${name}.${setting.key}`)),
    ])
    return [name, hideSecrets(section, Object.fromEntries(values) as Record<string, unknown>)]
  })
  return Object.fromEntries(sections) as Settings
}

/** Hides secrets, because settings may appear in logs and error reports. */
function hideSecrets(section: Section, values: Record<string, unknown>): Record<string, unknown> {
  const secrets = Object.keys(section).filter((property) => section[property]?.isSecret)
  if (secrets.length === 0) return values
  const masked = (): Record<string, unknown> => ({
    ...values,
    ...Object.fromEntries(secrets.map((property) => [property, maskSecret(values[property])])),
  })
  return Object.defineProperties(values, { toJSON: { value: masked }, [inspect.custom]: { value: masked } })
}
