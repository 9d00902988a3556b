import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Counter, Gauge, type Metric, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { type EventMap, Events } from '../../src/events.ts'
import { metricText } from '../../src/telemetry/metric-text.ts'
import { type MetricSources, Metrics } from '../../src/telemetry/metrics.ts'
import { TalliedHistogram } from '../../src/telemetry/tallied-histogram.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const sources: MetricSources = { active: () => 2, slots: () => 16, resources: () => [] }

function build(change: Partial<MetricSources> = {}) {
  const metrics = new Metrics({ host: 'h1', sources: { ...sources, ...change } })
  const events = new Events()
  const end = metrics.observe(events)
  const samples = async (prefix: string): Promise<string[]> =>
    (await metrics.render()).body.split('\n').filter((line) => line.startsWith(prefix))
  return { metrics, events, end, samples }
}

const settled: EventMap['run.settled'] = {
  runId: 1,
  jobId: 'sync',
  attempt: 1,
  outcome: 'success',
  state: 'succeeded',
  durationMs: 700,
  error: undefined,
  retryInMs: undefined,
  isGivenUp: false,
  isUntried: false,
}

describe('Metrics', () => {
  it.each([
    ['succeeded', { outcome: 'success', state: 'succeeded' }],
    ['failed', { outcome: 'failure', state: 'failed' }],
    ['failed', { outcome: 'timeout', state: 'failed' }],
    ['retried', { outcome: 'failure', state: 'queued' }],
    ['retried', { outcome: 'timeout', state: 'queued' }],
    ['cancelled', { outcome: 'cancelled', state: 'cancelled' }],
    ['interrupted', { outcome: 'interrupted', state: 'queued' }],
  ] as const)('counts an attempt as %s when it ended with %j', async (status, change) => {
    const { events, samples } = build()
    events.emit('run.settled', { ...settled, ...change })
    expect(await samples('piko_job_run_total{')).toEqual([`piko_job_run_total{job_id="sync",status="${status}"} 1`])
  })

  it('counts skipped ticks by reason and lost runs', async () => {
    const { events, samples } = build()
    events.emit('tick.skipped', { jobId: 'sync', tick: new Date(0), reason: 'overlap' })
    events.emit('run.lost', { runId: 1, jobId: 'sync', fence: 3 })
    expect(await samples('piko_tick_skipped_total{')).toEqual([
      'piko_tick_skipped_total{job_id="sync",reason="overlap"} 1',
    ])
    expect(await samples('piko_job_run_total{')).toEqual([
      'piko_job_run_total{job_id="sync",status="skipped"} 1',
      'piko_job_run_total{job_id="sync",status="lost"} 1',
    ])
  })

  it('sorts durations and latenesses into buckets of seconds', async () => {
    const { events, samples } = build()
    events.emit('run.started', { runId: 1, jobId: 'sync', attempt: 1, latenessMs: 40 })
    events.emit('run.settled', settled)
    expect(await samples('piko_job_duration_seconds_bucket')).toEqual(
      expect.arrayContaining([
        'piko_job_duration_seconds_bucket{le="0.5",job_id="sync"} 0',
        'piko_job_duration_seconds_bucket{le="1",job_id="sync"} 1',
      ]),
    )
    expect(await samples('piko_job_duration_seconds_sum')).toEqual(['piko_job_duration_seconds_sum{job_id="sync"} 0.7'])
    expect(await samples('piko_run_lateness_seconds_sum')).toEqual([
      'piko_run_lateness_seconds_sum{job_id="sync"} 0.04',
    ])
  })

  it('shows which node leads, also after the node took a new id', async () => {
    const { events, samples } = build()
    expect(await samples('piko_leader_status')).toEqual(['piko_leader_status{host="h1"} 0'])
    events.emit('leader.changed', { isLeader: true, epoch: 1 })
    expect(await samples('piko_leader_status')).toEqual(['piko_leader_status{host="h1"} 1'])
    events.emit('node.stopped', { nodeId: 'n1' })
    expect(await samples('piko_leader_status')).toEqual(['piko_leader_status{host="h1"} 1'])
    events.emit('leader.changed', { isLeader: false, epoch: undefined })
    expect(await samples('piko_leader_status')).toEqual(['piko_leader_status{host="h1"} 0'])
  })

  it('reads runs, slots, resources and offload at each scrape', async () => {
    let active = 0
    const unused = { borrowed: 0, waiting: 0, renewals: 0, checkFailures: 0, state: 'open' } as const
    const { samples } = build({
      active: () => active,
      resources: () => [
        { ...unused, name: 'Warehouse', size: 5, borrowed: active, waiting: 4, state: 'lost', checkFailures: 3 },
        { ...unused, name: 'Cache', size: Infinity, renewals: 2 },
      ],
      offload: () => [new OffloadPool({ size: 2 }, 'parsers')],
    })
    active = 3
    expect(await samples('piko_runs_active')).toEqual(['piko_runs_active 3'])
    expect(await samples('piko_slots')).toEqual(['piko_slots 16'])
    const perResource = (name: string, warehouse: string, cache: string): string[] => [
      `piko_resource_${name}{resource="Warehouse"} ${warehouse}`,
      `piko_resource_${name}{resource="Cache"} ${cache}`,
    ]
    expect(await samples('piko_resource_')).toEqual([
      ...perResource('size', '5', '+Inf'),
      ...perResource('borrowed', '3', '0'),
      ...perResource('waiting', '4', '0'),
      ...perResource('lost', '1', '0'),
      ...perResource('renewals_total', '0', '2'),
      ...perResource('check_failures_total', '3', '0'),
    ])
    expect(await samples('piko_offload_size')).toEqual(['piko_offload_size{pool="parsers"} 2'])
    expect(await samples('piko_offload_queue')).toEqual(['piko_offload_queue{pool="parsers"} 0'])
    expect(await samples('piko_offload_wait_seconds_bucket{le="+Inf"')).toEqual([
      'piko_offload_wait_seconds_bucket{le="+Inf",pool="parsers"} 0',
    ])
  })

  it('counts failures of the loops', async () => {
    const { events, samples } = build()
    events.emit('loop.failed', { loop: 'planner', error: new Error('x'), retryInMs: 1 })
    expect(await samples('piko_loop_failed_total{')).toEqual(['piko_loop_failed_total{loop="planner"} 1'])
  })

  const known = (id: string, policy = {}) => ({ id, policy })
  const zeros = (name: string, label: string, values: readonly string[], rest: string): string[] =>
    values.map((value) => `${name}{${rest},${label}="${value}"} 0`)
  const ALERTED = ['succeeded', 'failed', 'retried']

  it('begins at 0 with each outcome of jobs, notifiers and pools', async () => {
    const { metrics, samples } = build({ offload: () => [new OffloadPool({ size: 1 }, 'cpu')] })
    const schedule = { cron: '* * * * *' }
    const jobs = [known('plain'), known('ticks', { schedule }), known('windows', { schedule, windows: {} })]
    metrics.know({ jobs, notifiers: ['ops'] })
    const statuses = [...ALERTED, 'cancelled', 'interrupted', 'waiting', 'skipped', 'lost']
    expect(await samples('piko_job_run_total{')).toEqual(
      jobs.flatMap(({ id }) => zeros('piko_job_run_total', 'status', statuses, `job_id="${id}"`)),
    )
    expect(await samples('piko_tick_skipped_total{')).toEqual(
      zeros('piko_tick_skipped_total', 'reason', ['overlap', 'misfire'], 'job_id="ticks"'),
    )
    expect(await samples('piko_notice_total{')).toEqual(
      ['hook', 'ops'].flatMap((name) =>
        zeros('piko_notice_total', 'outcome', ['sent', 'failed'], `notifier="${name}"`),
      ),
    )
    const reasons = ['error', 'cancelled', 'timeout', 'memory', 'exit', 'crashed', 'copy']
    expect(await samples('piko_offload_failures_total{')).toEqual(
      zeros('piko_offload_failures_total', 'reason', reasons, 'pool="cpu"'),
    )
  })

  it('begins with only the most important outcomes of more than 1,000 jobs', async () => {
    const { metrics, samples } = build()
    const schedule = { cron: '* * * * *' }
    metrics.know({ jobs: Array.from({ length: 1_001 }, (_, job) => known(`job${job}`, { schedule })), notifiers: [] })
    const runs = await samples('piko_job_run_total{')
    expect(runs).toHaveLength(3 * 1_001)
    expect(runs.slice(0, 3)).toEqual(zeros('piko_job_run_total', 'status', ALERTED, 'job_id="job0"'))
    expect(await samples('piko_tick_skipped_total{')).toEqual([])
  })

  it('separates two apps in one process, and has the metrics of the process in both', async () => {
    const [one, two] = [build(), build()]
    one.events.emit('run.settled', settled)
    expect(await one.samples('piko_job_run_total{')).toHaveLength(1)
    expect(await two.samples('piko_job_run_total{')).toEqual([])
    for (const app of [one, two]) expect(await app.samples('process_cpu_seconds_total ')).toHaveLength(1)
  })

  it('counts nothing after its end', async () => {
    const { events, end, samples } = build()
    end()
    events.emit('run.settled', settled)
    expect(await samples('piko_job_run_total{')).toEqual([])
  })

  it('answers in the text format of Prometheus, with each metric once', async () => {
    const { contentType, body } = await build().metrics.render()
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/)
    const names = [...body.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1])
    expect(names.length).toBeGreaterThan(20)
    expect(new Set(names).size).toBe(names.length)
    expect(body.endsWith('\n')).toBe(true)
  })

  it('lets the event loop turn while it writes the figures of thousands of jobs', async () => {
    const { metrics, events } = build()
    for (let job = 0; job < 5_000; job++) events.emit('run.settled', { ...settled, jobId: `job${job}` })
    let turns = 0
    let isOver = false
    const tick = (): void => {
      turns += 1
      if (!isOver) setImmediate(tick)
    }
    setImmediate(tick)
    const { body } = await metrics.render()
    isOver = true
    expect(turns).toBeGreaterThan(20)
    expect(body).toContain('piko_job_duration_seconds_count{job_id="job4999"} 1')
  })

  it('writes counters of thousands of jobs in turns, and reports each end once to simultaneous scrapes', async () => {
    const { metrics, events } = build()
    const jobs = 3_000
    for (let job = 0; job < jobs; job++) {
      events.emit('run.settled', { ...settled, jobId: `job${job}` })
      events.emit('tick.skipped', { jobId: `job${job}`, tick: new Date(0), reason: 'overlap' })
    }
    let longest = 0
    const { prototype } = Registry as unknown as { prototype: { getMetricsAsString: (of: Metric) => Promise<string> } }
    const own = prototype.getMetricsAsString
    prototype.getMetricsAsString = async function (metric) {
      const text = await own.call(this, metric)
      longest = Math.max(longest, text.split('\n').length)
      return text
    }
    try {
      const bodies = await Promise.all([metrics.render(), metrics.render()])
      const totals = bodies.map(({ body }) => body.split('\n').filter((line) => line.startsWith('piko_job_run_total{')))
      expect(totals.map((total) => total.length)).toEqual([2 * jobs, 2 * jobs])
      expect(totals.flat().filter((line) => !line.endsWith(' 1'))).toEqual([])
    } finally {
      prototype.getMetricsAsString = own
    }
    expect(longest).toBeLessThan(200)
  })

  it('writes a metric without buckets as prom-client does', async () => {
    const registry = new Registry()
    const registers = [registry]
    const gauge = new Gauge({ name: 'size', help: 'How large.', labelNames: ['a', 'b'], registers })
    for (const [index, value] of [0, -1.5, Infinity, -Infinity, NaN, 1e21].entries())
      gauge.set({ a: index, b: '"\\\n' }, value)
    expect(`${await metricText(gauge)}\n`).toBe(await registry.metrics())
    const bare = new Registry()
    const counter = new Counter({ name: 'done_total', help: 'Done.', registers: [bare] })
    counter.inc(3)
    expect(`${await metricText(counter)}\n`).toBe(await bare.metrics())
  })

  it('writes a histogram as prom-client does', async () => {
    const registry = new Registry()
    const histogram = new TalliedHistogram({
      ...{ name: 'seconds', help: 'How long.', label: 'job_id', buckets: [0.005, 1], registers: [registry] },
    })
    for (const [job, value] of [
      ['plain', 0.3],
      ['plain', 0.1],
      ['"quoted" \\ and\na line', 7],
    ] as const)
      histogram.tally(job, value)
    expect(`${await histogram.text()}\n`).toBe(await registry.metrics())
    const bare = new Registry()
    const single = new TalliedHistogram({ name: 'late_seconds', help: 'Late.', buckets: [1], registers: [bare] })
    single.tally('', 2)
    expect(`${await single.text()}\n`).toBe(await bare.metrics())
  })

  it('does not keep the process alive', () => {
    const module = new URL('../../src/telemetry/metrics.ts', import.meta.url).href
    const program = `const { Metrics } = await import(${JSON.stringify(module)})
      const sources = { active: () => 0, slots: () => 1, resources: () => [] }
      await new Metrics({ host: 'h', sources }).render()`
    const args = ['--input-type=module', '--eval', program]
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd, timeout: PATIENCE_MS })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})
