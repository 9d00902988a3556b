import type { ConfigVersion } from '../../store/jobs/config-store.ts'

/** Which versions `app.configs.history` lists. */
export interface ConfigHistory {
  /** Selects only versions with smaller numbers. */
  readonly before?: number
}

/** Which versions `app.configs.diff` compares. */
export interface ConfigDiffOptions {
  /** The number of the earlier version. Default: the version before `to`. 0 means no config. */
  readonly from?: number
  /** The number of the later version. Default: the newest version. */
  readonly to?: number
}

/** A value that differs between two versions of a config. */
export interface ConfigChange {
  /** The path of the value as a JSON pointer, such as `/shop/name`. */
  readonly path: string
  /** The earlier value; undefined if the earlier version has none. */
  readonly before: unknown
  /** The later value; undefined if the later version has none. */
  readonly after: unknown
}

export interface ConfigDiff {
  readonly jobId: string
  readonly from: number
  readonly to: number
  readonly changes: readonly ConfigChange[]
}

/** Returns the differences between two configs, by path. Lists are compared as a whole. Pure. */
export function configChanges(before: ConfigVersion['config'], after: ConfigVersion['config']): ConfigChange[] {
  const changes: ConfigChange[] = []
  const compare = (path: string, one: unknown, other: unknown): void => {
    if (isPlain(one) && isPlain(other)) {
      for (const key of [...new Set([...Object.keys(one), ...Object.keys(other)])].sort())
        compare(`${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, one[key], other[key])
    } else if (JSON.stringify(one) !== JSON.stringify(other)) changes.push({ path, before: one, after: other })
  }
  compare('', before, after)
  return changes
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
