import { parseArgs } from 'node:util'
import type { StoreName } from './contestants.ts'
import { Lines } from './line.ts'

/** The options that benchmarks share. */
export interface Options {
  readonly store: StoreName
  readonly binlog: boolean
  readonly runs: number
  readonly repeat: number
  readonly peers: string
  readonly nodes: number
  readonly history: number
  readonly concurrency: number
  readonly seconds: number
  /** The processor time of each handler, in microseconds. */
  readonly work: number
  readonly lines: Lines
}

const NAMES = ['store', 'runs', 'repeat', 'peers', 'nodes', 'history', 'concurrency', 'seconds', 'work', 'out'] as const

/** @param defaults the default options of this benchmark */
export function parseOptions(argv: readonly string[], defaults: Partial<Omit<Options, 'lines'>> = {}): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...(Object.fromEntries(NAMES.map((name) => [name, { type: 'string' }])) as Record<
        (typeof NAMES)[number],
        { type: 'string' }
      >),
      binlog: { type: 'boolean', default: defaults.binlog ?? false },
    },
  })
  const store = values.store ?? defaults.store ?? 'mysql'
  if (store !== 'mysql' && store !== 'sqlite') throw new Error(`--store is "${store}"; expected mysql or sqlite`)
  const number = (
    name: 'runs' | 'repeat' | 'nodes' | 'history' | 'concurrency' | 'seconds' | 'work',
    least: number,
  ): number => {
    const value = Number(values[name] ?? defaults[name])
    if (!Number.isInteger(value) || value < least) {
      throw new Error(`--${name} is "${values[name]}"; expected a whole number from ${least}`)
    }
    return value
  }
  defaults = { runs: 20_000, repeat: 5, nodes: 1, history: 0, concurrency: 2_000, seconds: 60, work: 0, ...defaults }
  return {
    store,
    binlog: values.binlog,
    runs: number('runs', 1),
    repeat: number('repeat', 1),
    peers: values.peers ?? defaults.peers ?? 'all',
    nodes: number('nodes', 1),
    history: number('history', 0),
    concurrency: number('concurrency', 1),
    seconds: number('seconds', 1),
    work: number('work', 0),
    lines: new Lines(values.out),
  }
}

/** The options that distinguish a measurement from others, such as `mysql binlog 1,000,000 runs`. */
export function sceneOf({ store, binlog, ...options }: Options, ...more: readonly string[]): string {
  return [
    store,
    ...(binlog ? ['binlog'] : []),
    ...(options.nodes === 1 ? [] : [`${options.nodes} nodes`]),
    ...(options.work === 0 ? [] : [`handlers of ${options.work} µs`]),
    ...(options.history === 0 ? [] : [`history ${options.history.toLocaleString('en')}`]),
    ...more,
  ].join(', ')
}
