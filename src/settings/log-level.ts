export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** Other names for levels: those of Python, which old settings files may contain. */
const ALIASES: Readonly<Record<string, LogLevel>> = { warning: 'warn', critical: 'fatal' }

/** Returns the level for a name in any case (`INFO`, `Warning`); undefined if there is no such level. */
export function logLevelOf(name: string): LogLevel | undefined {
  const lower = name.toLowerCase()
  return LOG_LEVELS.find((level) => level === lower) ?? (Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined)
}
