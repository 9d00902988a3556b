import { isOurs, type Line } from './harness/line.ts'
import { number } from './harness/table.ts'

interface Wanted {
  readonly goal: string
  readonly bench: string
  readonly scene: string
  readonly measure: string
  readonly variant?: string
}

/** The smallest or largest share of another contestant's best value, or the largest or smallest value in a unit. */
type Bound =
  | { readonly atLeast: number; readonly ofBest: (line: Line) => boolean }
  | { readonly atMost: number; readonly ofBest: (line: Line) => boolean }
  | { readonly atLeast: number; readonly ofScene: string }
  | { readonly atMost: number }
  | { readonly atLeast: number }

const isBare = ({ system }: Line): boolean => system === 'bare loop'
const isPeer = ({ system }: Line): boolean => system !== 'bare loop' && system !== 'piko'
const isWithoutHistory = ({ system, variant }: Line): boolean => system === 'piko' && variant === 'without history'
const isCrawlee = ({ system }: Line): boolean => system === 'crawlee'
const isPiscina = ({ system }: Line): boolean => system === 'piscina'
const isHttp2 = ({ system }: Line): boolean => system === 'node:http2'
const isGrpc = ({ system }: Line): boolean => system === 'gRPC-js'
const isSocket = ({ system }: Line): boolean => system === 'socket with SHA-256'

const RUNS = '20,000 runs'

/** The goals of Piko. The page says for each whether it is met, and otherwise by how much it is missed. */
const GOALS: readonly (Wanted & Bound)[] = [
  ...[`mysql, ${RUNS}`, `mysql, binlog, ${RUNS}`].flatMap((scene) => {
    const at = { bench: 'throughput', scene }
    return [
      { ...at, measure: 'process', goal: 'process/s: 75 % of the bare loop', atLeast: 75, ofBest: isBare },
      { ...at, measure: 'process', goal: 'process/s: ahead of every peer', atLeast: 100, ofBest: isPeer },
      { ...at, measure: 'enqueue', goal: 'bulk enqueue/s: 70 % of bare inserts', atLeast: 70, ofBest: isBare },
      { ...at, measure: 'enqueue', goal: 'bulk enqueue/s: ahead of every peer', atLeast: 100, ofBest: isPeer },
    ]
  }),
  ...['mysql', 'mysql, binlog'].map((scene) => ({
    bench: 'enqueue-one',
    scene,
    measure: 'enqueue one by one',
    goal: 'one by one, 50 callers: 70 % of bare inserts',
    atLeast: 70,
    ofBest: isBare,
  })),
  ...[
    { goal: 'process/s: 60 % of the bare loop', atLeast: 60, ofBest: isBare },
    { goal: 'process/s: 50 times Sidequest', atLeast: 5_000, ofBest: isPeer },
  ].map((bound) => ({ bench: 'throughput', scene: `sqlite, ${RUNS}`, measure: 'process', ...bound })),
  ...[
    { measure: 'begin p50', goal: 'same process, p50: 2 ms', atMost: 2 },
    { measure: 'begin p99', goal: 'same process, p99: 8 ms', atMost: 8 },
    { measure: 'from another process, begin p50', goal: 'another process, p50: 120 ms', atMost: 120 },
    { measure: 'from another process, begin p99', goal: 'another process, p99: 250 ms', atMost: 250 },
    { measure: 'idle queries', goal: 'idle node: 5 queries/s', atMost: 5 },
  ].map((wanted) => ({ bench: 'latency', scene: 'mysql', ...wanted })),
  ...[
    { measure: 'RSS per run', goal: 'memory per run: 6 KB', atMost: 6 * 1_024 },
    { measure: 'time until all have begun', goal: 'all begun within 5 s', atMost: 5_000 },
  ].map((wanted) => ({ bench: 'in-flight', scene: 'mysql, 50,000 runs', ...wanted })),
  ...[
    { variant: 'spread', measure: 'lateness p99', goal: 'ticks spread, p99: 100 ms', atMost: 100 },
    { variant: 'burst', measure: 'lateness p99', goal: 'all ticks in the same second, p99: 100 ms', atMost: 100 },
    { variant: 'idle', measure: 'CPU', goal: 'idle planner: 2 % of a core', atMost: 2 },
  ].map((wanted) => ({ bench: 'cron', scene: 'mysql, 10,000 jobs', ...wanted })),
  ...['mysql', 'sqlite'].map((store) => ({
    ...{ bench: 'rate', scene: `${store}, 2 nodes, 5,000 runs`, variant: 'free', measure: 'rate reached' },
    ...{ goal: 'rate reached with free nodes: 90 %', atLeast: 90 },
  })),
  { bench: 'crawl', scene: 'mysql, 500 items', measure: 'items', goal: 'durable items: 950/s', atLeast: 950 },
  ...[
    { variant: 'pages of a crawl', goal: 'pages of a crawl: 40 % of the bare loop' },
    { variant: 'items of a job', goal: 'items of a job: 40 % of the bare loop' },
  ].map((wanted) => ({
    ...{ bench: 'items', scene: `mysql, 2 nodes, 20,000 items`, measure: 'items' },
    ...{ ...wanted, atLeast: 40, ofBest: isBare },
  })),
  ...[
    { measure: 'items', goal: 'items that write one row each: 900/s', atLeast: 900 },
    {
      measure: 'items, storing of the seeds included',
      goal: 'items that write one row each, seeds included: 800/s',
      atLeast: 800,
    },
  ].map((wanted) => ({ bench: 'items', scene: 'mysql, 500 items of 50 ms', ...wanted })),
  ...['10,000', '1,000,000', '10,000,000'].map((ended) => ({
    ...{ bench: 'items', scene: `mysql, ${ended} ended items`, measure: 'rows read per item' },
    ...{ goal: 'a claim reads at most 4 rows per item', atMost: 4 },
  })),
  ...['mysql', 'sqlite'].flatMap((variant) => {
    const at = { bench: 'crawl-http', scene: '20,000 pages', variant }
    return [
      { ...at, measure: 'pages', goal: `${variant}, pages/s: 50 % of the bare loop`, atLeast: 50, ofBest: isBare },
      { ...at, measure: 'pages', goal: `${variant}, pages/s: ahead of Crawlee`, atLeast: 100, ofBest: isCrawlee },
      { ...at, measure: 'peak RSS', goal: `${variant}, memory below Crawlee's`, atMost: 100, ofBest: isCrawlee },
    ]
  }),
  ...[
    {
      variant: 'doorbell',
      measure: 'delay until the last version is seen',
      goal: 'a shared value on another node: 50 ms',
      atMost: 50,
    },
    {
      variant: 'poll',
      measure: 'delay until the last version is seen',
      goal: 'without notifications: a poll of 1 s',
      atMost: 1_000,
    },
    { variant: 'elector', measure: 'terms that overlap', goal: 'no two leaders at any instant', atMost: 0 },
    { variant: 'cache', measure: 'stale answer during a load, slowest', goal: 'a stale value: 5 ms', atMost: 5 },
  ].map((wanted) => ({ bench: 'values', scene: 'mysql', ...wanted })),
  {
    ...{ bench: 'offload', scene: '2 threads', measure: 'tasks' },
    ...{ goal: "calls/s: 95 % of piscina's", atLeast: 95, ofBest: isPiscina },
  },
  ...[
    { measure: 'small calls', goal: 'calls/s: 3 times node:http2', atLeast: 300, ofBest: isHttp2 },
    { measure: 'small calls', goal: 'calls/s: ahead of gRPC-js', atLeast: 100, ofBest: isGrpc },
    { measure: 'bulk', goal: 'bulk: ahead of node:http2', atLeast: 100, ofBest: isHttp2 },
    { measure: 'bulk', goal: 'bulk: 60 % of a socket with SHA-256', atLeast: 60, ofBest: isSocket },
    ...[
      { measure: 'urgent call, p99', goal: 'urgent call during bulk, p99: 60 ms', atMost: 60 },
      { measure: 'share of level 2 while level 0 is saturated', goal: 'level 2 gets 5 % of the bytes', atLeast: 5 },
    ].map((wanted) => ({ ...wanted, variant: '20 MB/s line' })),
    ...[
      {
        measure: 'growth of the RSS of the sender, reader stopped',
        goal: 'memory growth of the sender while the reader is stopped: 2 MB',
        atMost: 2,
      },
      {
        measure: 'time until an aborted upload has left no file',
        goal: 'an aborted upload leaves no file after 100 ms',
        atMost: 100,
      },
      { measure: 'CPU of an idle connection', goal: 'an idle connection: 0.1 % of a core', atMost: 0.1 },
    ].map((wanted) => ({ ...wanted, variant: 'a reader that stops, idle' })),
    {
      ...{ measure: 'peak RSS while receiving 1 GB', variant: '1 GB into a file' },
      ...{ goal: 'peak RSS while receiving 1 GB: 80 MB', atMost: 80 },
    },
  ].map((wanted) => ({ bench: 'link', scene: 'TCP on loopback', ...wanted })),
  ...['sqlite', 'mysql'].flatMap((store) => {
    const at = { bench: 'backfill', scene: `${store}, 1,051,200 windows` }
    return [
      { ...at, measure: 'plan CPU', goal: 'two years of minutes planned in 60 s of CPU', atMost: 60 },
      { ...at, measure: 'peak RSS', goal: 'two years of minutes planned in 300 MB', atMost: 300 },
    ]
  }),
  {
    ...{ bench: 'throughput', scene: 'mysql, 1,000,000 runs', measure: 'process' },
    ...{ goal: 'process/s within 20 % of a queue of 20,000', atLeast: 80, ofScene: `mysql, ${RUNS}` },
  },
  {
    ...{ bench: 'throughput', scene: 'mysql, history 5,000,000, 100,000 runs', measure: 'process' },
    ...{ goal: 'process/s within 10 % of no history', atLeast: 90, ofBest: isWithoutHistory },
  },
  {
    ...{ bench: 'throughput', scene: 'mysql, 2 nodes, 100,000 runs', measure: 'process' },
    ...{ goal: 'process/s: two nodes ahead of one', atLeast: 100, ofScene: 'mysql, 100,000 runs' },
  },
  {
    ...{ bench: 'throughput', scene: `mysql, 2 nodes, handlers of 250 µs, ${RUNS}`, measure: 'process' },
    ...{ goal: 'process/s: two nodes ahead of one', atLeast: 100, ofScene: `mysql, handlers of 250 µs, ${RUNS}` },
  },
]

/** A table of all measured goals. For a missed goal it says by how much. */
export function goals(lines: readonly Line[]): string {
  const rows = GOALS.flatMap((goal) => {
    const ours = lines.find((line) => isOurs(line, goal))
    const reached = ours && compared(ours, goal, lines)
    if (!reached) return []
    const { value, unit } = reached
    const [bound, isMet] =
      'atMost' in goal ? [goal.atMost, value <= goal.atMost] : [goal.atLeast, value >= goal.atLeast]
    const short = isMet ? 'met' : `short by ${number(Math.abs(value - bound))} ${unit}`
    return [`| ${goal.bench} | ${goal.scene} | ${goal.goal} | ${number(value)} ${unit} | ${short} |`]
  })
  if (rows.length === 0) return '_Not measured yet._'
  return ['| benchmark | of | goal | reached | |', '| --- | --- | --- | --: | --- |', ...rows].join('\n')
}

function compared(
  ours: Line,
  goal: Wanted & Bound,
  lines: readonly Line[],
): { value: number; unit: string } | undefined {
  if ('ofBest' in goal) {
    const others = lines.filter((line) => line.bench === ours.bench && line.scene === ours.scene)
    const rates = others
      .filter((line) => line.measure === ours.measure && goal.ofBest(line))
      .map(({ median }) => median)
    const best = 'atMost' in goal ? Math.min(...rates) : Math.max(...rates)
    return rates.length === 0 ? undefined : { value: (ours.median / best) * 100, unit: '%' }
  }
  if ('ofScene' in goal) {
    const other = lines.find((line) => isOurs(line, { ...goal, scene: goal.ofScene }))
    return other && { value: (ours.median / other.median) * 100, unit: '%' }
  }
  return { value: ours.median, unit: ours.unit }
}
