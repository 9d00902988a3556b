import { describe } from '../errors-read.ts'
import { isList, nearestName } from '../options.ts'
import { piko } from './sections/piko.ts'
import type { Settings } from './settings.ts'

/** The node settings that can change without a restart, by their names in the settings file. */
const LIVE = { log_level: piko.logLevel, concurrency: piko.concurrency, poll_interval: piko.pollIntervalMs } as const

const DRAINED = 'drained'

/** Live settings in their stored form. If one is missing, each node uses the value of its own settings. */
export interface LiveConfig {
  /** The log level: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`. */
  readonly log_level?: string
  /** The maximum number of runs at the same time on each node. */
  readonly concurrency?: number
  /** The maximum pause between two polls for work, such as `'500ms'`. */
  readonly poll_interval?: string
  /** Whether the nodes are drained, so that they begin no further runs. `app.nodes.drain` sets this. */
  readonly drained?: boolean
}

/** Live settings in the form that the program uses. */
export type LiveValues = Pick<Settings['piko'], 'logLevel' | 'concurrency' | 'pollIntervalMs'>

export const LIVE_NAMES = Object.keys(LIVE) as (keyof typeof LIVE)[]

/** Parses stored live settings. Returns their values, or everything that is wrong with them. Pure. */
export function readLive(
  config: unknown,
): { readonly values: Partial<LiveValues> } | { readonly problems: readonly string[] } {
  if (typeof config !== 'object' || config === null || isList(config))
    return { problems: [`the settings are ${describe(config)}; expected an object, such as {"log_level":"debug"}`] }
  const problems: string[] = []
  for (const [name, value] of Object.entries(config)) {
    if (name === DRAINED) {
      if (typeof value !== 'boolean') problems.push(`${name} is ${describe(value)}; expected true or false`)
      continue
    }
    const setting = Object.hasOwn(LIVE, name) ? LIVE[name as keyof typeof LIVE] : undefined
    if (!setting) problems.push(unknownName(name))
    else {
      const complaint = setting.complaint(value)
      if (complaint !== undefined) problems.push(`${name} is ${describe(value)}; ${complaint}`)
    }
  }
  if (problems.length > 0) return { problems }
  const { log_level: level, concurrency, poll_interval: interval, drained } = config as LiveConfig
  return {
    values: {
      ...(level !== undefined && { logLevel: LIVE.log_level.parse(level) }),
      ...(concurrency !== undefined && { concurrency }),
      ...(drained === true && { concurrency: 0 }),
      ...(interval !== undefined && { pollIntervalMs: LIVE.poll_interval.parse(interval) }),
    },
  }
}

function unknownName(name: string): string {
  const nearest = nearestName(name, LIVE_NAMES)
  const hint =
    nearest === undefined ? `; the live settings are ${LIVE_NAMES.join(', ')}` : `, did you mean "${nearest}"?`
  return `unknown setting ${describe(name)}${hint}`
}
