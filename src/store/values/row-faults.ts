import { describeInstant, storedInstant } from '../../time/instant.ts'
import { storedSchedule } from '../../time/stored-schedule.ts'
import type { Dialect } from '../connection/dialect.ts'
import { ROW_RULES, type Rule, type TableName } from './row-rules.ts'

/** A value that a person has written and that is invalid for its column. */
export interface Fault {
  readonly column: string
  readonly value: string
  readonly expected: string
  /** A valid value for the column, as SQL. */
  readonly example: string
}

/** Returns the faults in the columns of a row. Checks only the selected columns. Pure. */
export function faultsOf(dialect: Pick<Dialect, 'name'>, table: TableName, row: object): readonly Fault[] {
  let faults: Fault[] | undefined
  const { columns } = ROW_RULES[table]
  for (const column in row) {
    const rule = columns[column]
    const value: unknown = row[column as keyof typeof row]
    if (rule && !isHeld(rule, value)) (faults ??= []).push(faultOf(column, value, rule, dialect))
  }
  return faults ?? NONE
}

const NONE: readonly Fault[] = []

function isHeld(rule: Rule, value: unknown): boolean {
  if (value === null) return rule.kind === 'json' || ('isNullable' in rule && rule.isNullable)
  switch (rule.kind) {
    case 'instant':
      return storedInstant(value) !== undefined
    case 'word':
      return rule.words.includes(value as string)
    case 'json':
      return typeof value === 'string' && isReadBy(JSON.parse, value)
    case 'schedule':
      return typeof value === 'string' && (isReadBy(JSON.parse, value) || isReadBy(storedSchedule, value))
    case 'count':
      // `Number` would read an empty string and some bytes as 0.
      if (typeof value !== 'number' && typeof value !== 'bigint') return false
      return Number.isInteger(Number(value)) && value >= 0 && value <= rule.max
    case 'amount':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
  }
}

function isReadBy(read: (text: string) => unknown, text: string): boolean {
  try {
    read(text)
    return true
  } catch {
    return false
  }
}

function faultOf(column: string, value: unknown, rule: Rule, { name }: Pick<Dialect, 'name'>): Fault {
  const shown = describeInstant(value)
  const length = `text of ${String(value).length} characters`
  switch (rule.kind) {
    case 'instant':
      return {
        ...{ column, value: shown, expected: 'an instant in UTC from the year 1000 to 9999' },
        // MySQL does not accept a zone here. SQLite compares instants as text, so there the example has the form in which Piko stores them.
        example: name === 'mysql' ? "'2026-01-31 12:00:00.000'" : "'2026-01-31T12:00:00.000Z'",
      }
    case 'word':
      return { column, value: shown, expected: `one of ${rule.words.join(', ')}`, example: `'${rule.words[0]}'` }
    case 'json':
      return { column, value: length, expected: 'JSON', example: "'{}'" }
    case 'schedule':
      return {
        ...{ column, value: length, example: "'0 0 * * *'" },
        expected: 'the JSON of a schedule, or a cron expression',
      }
    case 'count':
      return { column, value: shown, expected: `a whole number from 0 to ${rule.max}`, example: '0' }
    case 'amount':
      return { column, value: shown, expected: 'a number of 0 or more', example: '0' }
  }
}
