import type { Pace } from '../../run/progress.ts'

/** The progress that an attempt has reported with `ctx.progress`. */
export interface ReportedProgress {
  done: number
  total: number | undefined
  message: string | undefined
  pace: Pace | undefined
  /** Whether an invalid report was logged. One line per attempt is enough. */
  isFaultLogged: boolean
}
