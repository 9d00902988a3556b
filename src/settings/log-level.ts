export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** Names of Python's levels, which earlier settings files may use. */
const ALIASES: Readonly<Record<string, LogLevel>> = { warning: 'warn', critical: 'fatal' }

/** The level of a name, in any case (`INFO`, `Warning`); undefined if the name is not a level. */
export function logLevelOf(name: string): LogLevel | undefined {
  const lower = name.toLowerCase()
  return LOG_LEVELS.find((level) => level === lower) ?? (Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : undefined)
}
