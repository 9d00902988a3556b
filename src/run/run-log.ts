export const RUN_LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const

export type RunLogLevel = (typeof RUN_LOG_LEVELS)[number]

/** One line that a handler logged through `ctx.log`. */
export interface RunLogLine {
  /** Grows from line to line. */
  readonly id: number
  readonly runId: number
  /** Of the claim that logged it: a run that was taken from a node may have lines of both. */
  readonly fence: number
  readonly attempt: number
  readonly at: Date
  readonly level: RunLogLevel
  readonly message: string
  /** What was logged beside the message, without secrets. */
  readonly fields: Readonly<Record<string, unknown>> | undefined
}
