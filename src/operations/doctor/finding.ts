/**
 * How serious a finding is. `error`: work is lost, late or refused now. `warning`: work will be lost, late or refused, or something is not
 * safe. `info`: good to know, but the installation works.
 */
export type Severity = 'error' | 'warning' | 'info'

export const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info']

/** One thing that the doctor found. */
export interface Finding {
  /** The name of the finding, which never changes, such as `redo-log` or `schema.index`. */
  readonly id: string
  readonly severity: Severity
  /** The problem, with the wrong value and the expected one. */
  readonly found: string
  /** The remedy: a command, a statement, or a line of a settings file. */
  readonly remedy: string
}

/** Formats a duration for people, rounded: `3 d`, `2 h` or `40 s`. */
export function spanText(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ]
  const [size, unit] = units.find(([one]) => Math.abs(ms) >= 2 * one) ?? [1, 'ms']
  return `${Math.round(ms / size)} ${unit}`
}

/** Formats a size, such as `64 MiB`. */
export function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Math.round((bytes / 1_024 ** power) * 10) / 10} ${units[power]}`
}

const MAX_NAMED = 5

/** Formats names as a list: `a, b and 7 more`. */
export function namesText(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(', ')
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown
}
