import type { SettingsProblem } from './problem.ts'

/** A value that one source gives for a known key. */
export interface Reading {
  readonly key: string
  readonly value: unknown
  readonly origin: string
}

/** Everything in one source. */
export interface SourceContent {
  readonly readings: readonly Reading[]
  readonly problems: readonly SettingsProblem[]
}
