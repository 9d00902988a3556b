/** One setting, defined completely by its entry in a section. */
export interface Setting<K extends string = string, Raw = unknown, Value = unknown> {
  /** The name of the setting in `settings.toml`. */
  readonly key: K
  readonly default: Raw
  /** The meaning, with units and special values. `settings.example.toml` and `docs/settings.md` show it. */
  readonly help: string
  /** The smallest and the largest value; undefined if there are none. */
  readonly limits: Limits | undefined
  /** Whether the value is secret and never printed in full. */
  readonly isSecret: boolean
  /** The value of an environment variable's text, or the text itself if it is not valid. */
  fromEnv(this: void, text: string): unknown
  /** The form that is expected instead of `value`; undefined if the value is valid. */
  complaint(this: void, value: unknown): string | undefined
  /** Converts a valid value to the form that the program uses, such as milliseconds for `"10s"`. */
  parse(this: void, raw: Raw): Value
}

export interface Limits {
  readonly min: number | string
  readonly max: number | string
}

/** The settings of one section by their names in the program. */
export type Section = Readonly<Record<string, Setting>>

/** The values of a section, in the form that the program uses. */
export type SectionValues<S extends Section> = { readonly [N in keyof S]: ReturnType<S[N]['parse']> }

/** Any part of a section, with the names and the values of the file. */
export type SectionOverrides<S extends Section> = {
  readonly [N in keyof S as S[N]['key']]?: S[N]['default'] | undefined
}
