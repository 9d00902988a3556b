import type { AppLogger } from './log.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]

/**
 * Returns a logger that is created when its first line is logged. Most commands log nothing, and loading pino takes as long as all their
 * other work.
 *
 * @param level the lowest level to log; lines below it do not create the logger
 */
export function lazyLogger(level: string, create: () => AppLogger): AppLogger {
  let created: AppLogger | undefined
  const logger = (): AppLogger => (created ??= create())
  const isEnabled = (name: string): boolean => level !== 'silent' && rank(name) >= rank(level)
  const method = (name: Level): unknown =>
    isEnabled(name) ? (...args: Parameters<AppLogger['info']>) => logger()[name](...args) : () => {}
  const early: Readonly<Record<string, unknown>> = {
    level,
    isLevelEnabled: isEnabled,
    child: (...args: Parameters<AppLogger['child']>) =>
      lazyLogger(level, () => logger().child(...args) as object as AppLogger),
    ...Object.fromEntries(LEVELS.map((name) => [name, method(name)])),
  }
  return new Proxy({} as AppLogger, {
    get: (_target, name) => {
      if (!created && typeof name === 'string' && Object.hasOwn(early, name)) return early[name]
      const value: unknown = Reflect.get(logger(), name)
      return typeof value === 'function' ? (value.bind(logger()) as unknown) : value
    },
    set: (_target, name, value) => Reflect.set(logger(), name, value),
    has: (_target, name) => Reflect.has(logger(), name),
  })
}

const rank = (name: string): number => LEVELS.indexOf(name as Level)
