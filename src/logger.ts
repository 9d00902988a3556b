/** The logger of `ctx.log`. A pino logger has the same form. Each line contains the ids of the run and the job. */
export interface Logger {
  trace(message: string): void
  trace(fields: object, message?: string): void
  debug(message: string): void
  debug(fields: object, message?: string): void
  info(message: string): void
  info(fields: object, message?: string): void
  warn(message: string): void
  warn(fields: object, message?: string): void
  error(message: string): void
  error(fields: object, message?: string): void
}
