// npm run bench -- throughput --store mysql --runs 20000
import { all } from './all.ts'
import { apiScale } from './api-scale.ts'
import { backfill } from './backfill.ts'
import { coldCli } from './cold-cli.ts'
import { crawl } from './crawl.ts'
import { crawlHttp } from './crawl-http.ts'
import { crawlLines } from './crawl-lines.ts'
import { cron } from './cron.ts'
import { dashboard } from './dashboard.ts'
import { enqueueOne } from './enqueue-one.ts'
import { growth } from './growth.ts'
import { inFlight } from './in-flight.ts'
import { items } from './items.ts'
import { latency } from './latency.ts'
import { link } from './link.ts'
import { liveReaders } from './live-readers.ts'
import { offloadCalls } from './offload.ts'
import { offloadStream } from './offload-stream.ts'
import { proof } from './proof.ts'
import { queries } from './queries.ts'
import { batch } from './batch.ts'
import { rate } from './rate.ts'
import { report } from './report.ts'
import { resources } from './resources.ts'
import { sinkTable } from './sink-table.ts'
import { steps } from './steps.ts'
import { throughput } from './throughput.ts'
import { values } from './values.ts'

const BENCHMARKS: Readonly<Record<string, (argv: readonly string[]) => Promise<void>>> = {
  throughput,
  'enqueue-one': enqueueOne,
  latency,
  link,
  'in-flight': inFlight,
  'cold-cli': coldCli,
  'api-scale': apiScale,
  'live-readers': liveReaders,
  cron,
  dashboard,
  rate,
  batch,
  crawl,
  items,
  'crawl-http': crawlHttp,
  values,
  'crawl-lines': crawlLines,
  steps,
  resources,
  'sink-table': sinkTable,
  offload: offloadCalls,
  'offload-stream': offloadStream,
  queries,
  growth,
  backfill,
  proof,
  all,
  report,
}

const USAGE = `Usage: npm run bench -- <name> [options]

  throughput   bulk enqueue/s and process/s from a standing queue [--nodes 1] [--history 0] [--concurrency 2000]
  enqueue-one  enqueue/s one by one from 50 callers
  latency      one run at a time on an idle node, from its own and from another process; the cost of an idle node
  link         calls and bulk over a link, beside node:http2 and a bare socket; urgent calls behind bulk; memory, idle CPU
  in-flight    50,000 handlers that await at once: memory of each, time until all have begun
  cold-cli     wall and CPU of piko runs list, why and windows on SQLite, beside node -e 0 [--repeat 21]
  cron         10,000 jobs on schedules: lateness spread and in a burst, CPU of an idle planner [--seconds 60]
  dashboard    each page in Chromium: time to data, frames of the grid, heap after an hour's events [--path scale.db]
  batch        a batch of 5,000 calls at 50 a second on two nodes, 100 of which fail and are replayed [--nodes 2]
  rate         5,000 runs at 50 a second on two nodes: the share that is reached, the most in a second [--nodes 2]
  crawl        500 items, 50 workers, 50 ms of I/O each
  items        20,000 items on two nodes beside a bare loop; 500 of 50 ms; what a claim reads beside ended ones [--history 10000000]
  crawl-http   20,000 pages of a local site, beside Crawlee and a bare loop [--peers none]
  values       shared values and electors of several processes, a cache of 1,000,000 keys [--runs 1000000]
  crawl-lines  what crawls promise, checked with real servers, kills and stops; exit code 1 if a line fails [--line 5]
  steps        10,000 steps of one run: steps/s together and in turn, and the attempt that finds them
  sink-table   1,000,000 rows through sqlTable, by INSERTs and by LOAD DATA, beside mysql2 alone [--runs 1000000]
  resources    10,000 runs over two pools of 10 named in opposite order, with failures, timeouts, cancels and a stop
  offload      calls into worker threads, beside piscina
  offload-stream  a 1 GB NDJSON and a gzip CSV parsed in a thread into sinks, beside a bare worker [--size 1000 (MB)]
               [--targets count,lists,jsonl,sqlite,mysql] [--systems bare,piko] [--formats ndjson,csv]
  api-scale    every list, filter, grid and summary of the API on a generated store [--runs 2000000] [--windows 1000000]
  live-readers 200 readers of events over HTTP at 1,000 runs/s, beside none [--seconds 300] [--nodes 200 (readers)] [--runs 1000 (a second)]
  queries      statements, rows and locks of 1,000 runs, by the server's own count
  growth       ten times the runs, history, nodes, jobs
  backfill     two years of minute windows: CPU and memory of planning them [--runs 1051200]
  proof        a million windows with ten rows each: time, CPU and memory of their proof [--runs 1000000]
  all          everything that docs/performance.md shows: --out file.jsonl; continues after an interruption [--only prefix]
  report       file.jsonl …: writes docs/performance.md, its results and charts

Options: --store mysql|sqlite  --binlog  --runs 20000  --repeat 5  --peers all|none|graphile,bullmq,pg-boss,sidequest
         --out file.jsonl (appends the lines there too)
`

const [name = '', ...argv] = process.argv.slice(2)
const benchmark = BENCHMARKS[name]
if (!benchmark) {
  process.stderr.write(`there is no benchmark "${name}"; expected ${Object.keys(BENCHMARKS).join(', ')}\n\n${USAGE}`)
  process.exit(2)
}
await benchmark(argv)
