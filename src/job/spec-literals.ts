import type { TimeZone } from '../time/zone-names.ts'

// These types check cron expressions and time zones that are written as literals, at compile time. They accept any value of the type
// `string`. When the job is registered, all values are checked again.

/** Checks the literals of a spec. A wrong literal does not compile; the type in TypeScript's message explains why. */
export interface CheckedLiterals<Zone extends string, Cron extends string> {
  readonly timezone?: Zone & Checked<ZoneProblem<Zone>>
  readonly cron?: (Cron | readonly Cron[]) & Checked<CronProblem<Cron>>
}

type Checked<Problem> = [Problem] extends [never] ? unknown : { readonly problem: Problem }

type ZoneProblem<Zone extends string> = string extends Zone
  ? never
  : Zone extends TimeZone
    ? never
    : `"${Zone}" is not an IANA time zone`

/** The problem of a cron expression; for several expressions, the union of their problems. */
type CronProblem<Cron extends string> = string extends Cron
  ? never
  : Cron extends Nickname
    ? never
    : FieldsOf<Cron> extends infer Fields extends readonly string[]
      ? Fields['length'] extends 5
        ? OutOfRange<Misfits<['0', ...Fields]>, Cron>
        : Fields['length'] extends 6
          ? OutOfRange<Misfits<Fields>, Cron>
          : `"${Cron}" needs five fields, or six with the second first`
      : never

type OutOfRange<Wrong extends string, Cron extends string> = [Wrong] extends [never]
  ? never
  : `"${Wrong}" in "${Cron}" is out of range`

type Nickname = '@yearly' | '@annually' | '@monthly' | '@weekly' | '@daily' | '@midnight' | '@hourly'

type FieldsOf<Text extends string, Fields extends readonly string[] = []> = Text extends `${infer Field} ${infer Rest}`
  ? FieldsOf<Rest, Field extends '' ? Fields : [...Fields, Field]>
  : Text extends ''
    ? Fields
    : [...Fields, Text]

type Misfits<Fields extends readonly string[]> = Fields extends readonly [
  infer Second extends string,
  infer Minute extends string,
  infer Hour extends string,
  infer Day extends string,
  infer Month extends string,
  infer Weekday extends string,
]
  ? | Misfit<Second | Minute, Sixty>
    | Misfit<Hour, Hours>
    | Misfit<Day, Days>
    | Misfit<Month, Months>
    | Misfit<Weekday, Weekdays>
  : never

/** The numbers of a field that are out of range: alone, in a list, or in a range. Steps, names and letters are not checked. */
type Misfit<Field extends string, Range extends string> = Field extends `${infer First},${infer Rest}`
  ? Misfit<First, Range> | Misfit<Rest, Range>
  : Field extends `${infer From extends number}-${infer To extends number}`
    ? Misfit<`${From}`, Range> | Misfit<`${To}`, Range>
    : Field extends `${number}`
      ? Field extends Range | `0${Digit}`
        ? never
        : Field
      : never

type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type From1 = Exclude<Digit, '0'>
type Sixty = Digit | `${'1' | '2' | '3' | '4' | '5'}${Digit}`
type Hours = Digit | `1${Digit}` | '20' | '21' | '22' | '23'
type Days = From1 | `${'1' | '2'}${Digit}` | '30' | '31'
type Months = From1 | '10' | '11' | '12'
type Weekdays = Exclude<Digit, '8' | '9'>
