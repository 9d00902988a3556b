import type { SettingsProblem } from './problem.ts'

/** The value of a known key in one source. */
export interface Reading {
  readonly key: string
  readonly value: unknown
  readonly origin: string
}

/** Everything that one source contains. */
export interface SourceContent {
  readonly readings: readonly Reading[]
  readonly problems: readonly SettingsProblem[]
}
