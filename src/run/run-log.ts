export const RUN_LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const

export type RunLogLevel = (typeof RUN_LOG_LEVELS)[number]

/** One line that a handler logged through `ctx.log`. */
export interface RunLogLine {
  /** The id of the line. It increases with each line. */
  readonly id: number
  readonly runId: number
  /** The fence of the claim that logged the line. If a run has moved to another node, it may have lines of both claims. */
  readonly fence: number
  readonly attempt: number
  readonly at: Date
  readonly level: RunLogLevel
  readonly message: string
  /** The fields of the message, with secrets redacted. */
  readonly fields: Readonly<Record<string, unknown>> | undefined
}
