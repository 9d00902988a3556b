/** One setting. Its entry in a section defines it completely. */
export interface Setting<K extends string = string, Raw = unknown, Value = unknown> {
  /** The name of the setting in `settings.toml`. */
  readonly key: K
  readonly default: Raw
  /** What the setting means, with units and special values. `settings.example.toml` and `docs/settings.md` show this text. */
  readonly help: string
  /** The minimum and the maximum; undefined if there are none. */
  readonly limits: Limits | undefined
  /** Whether the value is secret. Then it is never printed completely. */
  readonly isSecret: boolean
  /** Converts the text of an environment variable. Returns the text itself if it is not valid. */
  fromEnv(this: void, text: string): unknown
  /** Returns what is expected instead of `value`; undefined if the value is valid. */
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

/** The values of a section in the form that the program uses. */
export type SectionValues<S extends Section> = { readonly [N in keyof S]: ReturnType<S[N]['parse']> }

/** Any part of a section, with keys and values as in the settings file. */
export type SectionOverrides<S extends Section> = {
  readonly [N in keyof S as S[N]['key']]?: S[N]['default'] | undefined
}
