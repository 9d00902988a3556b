import { isOurs, type Line } from './harness/line.ts'
import { number } from './harness/table.ts'

interface Series {
  readonly grows: string
  /** The expected effect of more of it on the cost, and the reason. */
  readonly curve: string
  readonly bench: string
  readonly variant?: string
  readonly measure: string
  /** The sizes, smallest first, with the scene in which each was measured. */
  readonly sizes: readonly (readonly [size: number, scene: string])[]
  readonly unit: string
  readonly cost: (median: number, size: number) => number
}

const perRun = { bench: 'throughput', measure: 'process', unit: 'µs/run', cost: (rate: number) => 1e6 / rate } as const

const SERIES: readonly Series[] = [
  {
    ...perRun,
    grows: 'queued runs',
    curve: 'constant: a claim reads only the beginning of its index',
    sizes: [2_000, 20_000, 200_000, 1_000_000].map((size) => [size, `mysql, ${size.toLocaleString('en')} runs`]),
  },
  {
    ...perRun,
    grows: 'ended runs',
    curve: 'constant: no statement that a run needs reads them',
    sizes: [0, 50_000, 500_000, 5_000_000].map((size) => [
      size,
      `mysql, ${size === 0 ? '' : `history ${size.toLocaleString('en')}, `}100,000 runs`,
    ]),
  },
  {
    ...perRun,
    grows: 'nodes, handlers that do nothing',
    curve: 'grows: here, one node and the server already keep all processors busy, so more nodes only share them',
    sizes: [1, 2, 4].map((size) => [size, `mysql, ${size === 1 ? '' : `${size} nodes, `}100,000 runs`]),
  },
  {
    ...perRun,
    grows: 'nodes, handlers that compute for 250 µs',
    curve: 'falls as 1/nodes until all processors are busy',
    sizes: [1, 2, 4].map((size) => [
      size,
      `mysql, ${size === 1 ? '' : `${size} nodes, `}handlers of 250 µs, 20,000 runs`,
    ]),
  },
  {
    grows: 'jobs, none due',
    curve: 'constant: the planner reads only the jobs that are due',
    ...{ bench: 'cron', variant: 'idle', measure: 'CPU', unit: '% of a core', cost: (share: number) => share },
    sizes: [100, 1_000, 10_000].map((size) => [size, `mysql, ${size.toLocaleString('en')} jobs`]),
  },
  {
    grows: 'jobs, each due once a minute',
    curve: 'constant per tick: ticks are planned and claimed in batches',
    ...{ bench: 'cron', variant: 'spread', measure: 'CPU', unit: 'ms of CPU/tick' },
    // Converts a share of a core over a minute, in which each job has one tick.
    cost: (share, jobs) => (share * 600) / jobs,
    sizes: [100, 1_000, 10_000].map((size) => [size, `mysql, ${size.toLocaleString('en')} jobs`]),
  },
  {
    grows: 'windows of a backfill',
    curve: 'constant per window: each step plans 100 windows, beginning at a cursor',
    ...{ bench: 'backfill', measure: 'plan CPU', unit: 'µs of CPU/window' },
    cost: (seconds, windows) => (seconds * 1e6) / windows,
    sizes: [105_120, 1_051_200].map((size) => [size, `mysql, ${size.toLocaleString('en')} windows`]),
  },
]

/** The measured cost of growth next to the expected cost. */
export function growthTable(lines: readonly Line[]): string {
  const rows = SERIES.flatMap((series) => {
    const found = series.sizes.flatMap(([size, scene]) => {
      const line = lines.find((one) => isOurs(one, { ...series, scene }))
      return line ? [{ size, cost: series.cost(line.median, size) }] : []
    })
    const [first, ...more] = found
    if (!first || more.length === 0) return []
    const sizes = found.map(({ size }) => size.toLocaleString('en')).join(' → ')
    const costs = found.map(({ cost }) => number(cost)).join(' → ')
    return [`| ${series.grows} | ${sizes} | ${costs} ${series.unit} | ${series.curve} |`]
  })
  if (rows.length === 0) return '_Not measured yet._'
  return ['| what grows | from → to | cost | expected |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
