import { spawnSync } from 'node:child_process'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { type EventMap, type EventName, Events } from '../../src/events.ts'
import { createLogger, logEvents, runLogger } from '../../src/telemetry/log.ts'

function capture(options: { level?: string; json?: boolean; colour?: boolean } = {}) {
  const stream = new PassThrough({ encoding: 'utf8' })
  const { level = 'trace', json = true, colour = false } = options
  const log = createLogger({ level, json, name: 'piko', stream, colour })
  const text = (): string => (stream.read() as string | null) ?? ''
  const lines = (): Record<string, unknown>[] =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log, text, lines }
}

describe('JSON lines', () => {
  it('carry an ISO time, the level as text, the name and the fields', () => {
    const { log, lines } = capture()
    log.warn({ rows: 3 }, 'slow')
    const [line] = lines()
    expect(line).toMatchObject({ level: 'warn', name: 'piko', rows: 3, msg: 'slow' })
    expect(new Date(String(line?.['time'])).toISOString()).toBe(line?.['time'])
  })

  it("carry the run's id, the job's id and the attempt in a run's log", () => {
    const { log, lines } = capture()
    runLogger(log, { runId: 7, jobId: 'sync', attempt: 2 }).info('page read')
    expect(lines()[0]).toMatchObject({ run_id: 7, job_id: 'sync', attempt: 2, msg: 'page read' })
  })

  it('leave out lines below the level', () => {
    const { log, lines } = capture({ level: 'info' })
    log.debug('no')
    log.info('yes')
    expect(lines().map((line) => line['msg'])).toEqual(['yes'])
  })

  it('contain an error with its chain of causes', () => {
    const { log, lines } = capture()
    const root = Object.assign(new TypeError('reset'), { code: 'ECONNRESET', sql: 'insert 1000 rows' })
    log.error(
      { err: new PikoError('SINK_FAILED', 'no write', { cause: root, details: { table: 'orders' } }) },
      'failed',
    )
    const err = lines()[0]?.['err']
    expect(err).toMatchObject({
      type: 'PikoError',
      code: 'SINK_FAILED',
      message: 'no write',
      details: { table: 'orders' },
      stack: expect.stringContaining('log.test') as string,
      cause: { type: 'TypeError', code: 'ECONNRESET', message: 'reset' },
    })
    expect(JSON.stringify(err)).not.toContain('insert')
  })

  it('contain an error that is its own cause', () => {
    const { log, lines } = capture()
    const error = new Error('round')
    error.cause = error
    log.error(error)
    expect(lines()[0]).toMatchObject({ msg: 'round', err: { message: 'round', cause: { message: 'round' } } })
  })

  it('contain a cause that is not an error as text, once', () => {
    const { log, lines } = capture()
    log.error(new Error('outer', { cause: 'plain text' }))
    const { cause } = lines()[0]?.['err'] as { cause: unknown }
    expect(cause).toEqual({ type: 'string', message: '"plain text"' })
  })

  it('never contain a secret', () => {
    const { log, text } = capture()
    const dsn = 'mysql://root:hunter2@db:3306/piko'
    log.info({
      password: 'hunter2',
      headers: { Authorization: 'hunter2' },
      config: { api: { clientSecret: 'hunter2' } },
    })
    log.info(`connects to ${dsn}`)
    log.info({ url: dsn, list: [{ token: 'hunter2' }] }, 'url %s', dsn)
    log.error({ err: new Error(`no route to ${dsn}`, { cause: new Error(dsn) }) }, 'failed')
    log.error(new Error(dsn))
    log.child({ target: dsn }).info('child')
    expect(text()).not.toContain('hunter2')
  })

  it('contain an object that contains itself', () => {
    const { log, lines } = capture()
    const fields: Record<string, unknown> = { a: 1 }
    fields['self'] = fields
    log.info(fields, 'round')
    expect(lines()[0]).toMatchObject({ a: 1, msg: 'round' })
  })

  it('do not change the logged objects', () => {
    const { log } = capture()
    const fields = { db: { password: 'x' } }
    log.info(fields)
    expect(fields).toEqual({ db: { password: 'x' } })
  })
})

describe('lines for people', () => {
  it('are short: time, level, message and fields on one line', () => {
    const { log, text } = capture({ json: false })
    runLogger(log, { runId: 7, jobId: 'sync', attempt: 1 }).info(
      { rows: 3, shop: 'Berlin Mitte', name: 'x' },
      'page read',
    )
    expect(text()).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} INFO: page read run_id=7 job_id=sync attempt=1 rows=3 shop="Berlin Mitte" name=x\n$/,
    )
  })

  it('show the chain of causes, and the stacks from level error up', () => {
    const { log, text } = capture({ json: false })
    const error = new Error('outer', { cause: new TypeError('inner') })
    log.warn({ err: error }, 'again')
    expect(text()).toMatch(/^\S+ WARN: again err="Error: outer \(caused by TypeError: inner\)"\n$/)
    log.error({ err: error }, 'over')
    expect(text()).toMatch(
      /^\S+ ERROR: over err=.*\n {4}Error: outer\n {8}at [^]*\n {4}Caused by: TypeError: inner\n {8}at /,
    )
  })

  it('never contain a secret or an escape sequence of a message', () => {
    const { log, text } = capture({ json: false })
    log.info({ password: 'hunter2' }, 'mysql://root:hunter2@db/x \u001b[2Jgone')
    expect(text()).toMatch(/INFO: mysql:\/\/root:\[redacted\]@db\/x \\u001b\[2Jgone password=\[redacted\]\n$/)
  })

  it('have colours only on request', () => {
    const plain = capture({ json: false })
    plain.log.warn({ a: 1 }, 'x')

    expect(plain.text()).not.toMatch(/\u001b/)
    const coloured = capture({ json: false, colour: true })
    coloured.log.warn({ a: 1 }, 'x')
    expect(coloured.text()).toContain('\u001b[33mWARN')
  })
})

describe('without a stream', () => {
  it.each([true, false])('lines go to standard error, including those just before the exit (json: %s)', (json) => {
    const module = new URL('../../src/telemetry/log.ts', import.meta.url).href
    const program = `const { createLogger } = await import(${JSON.stringify(module)})
      createLogger({ level: 'info', json: ${json}, name: 'piko' }).info('last words')
      process.exit(0)`
    const args = ['--input-type=module', '--eval', program]
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd })
    expect(stderr).toContain('last words')

    expect(stderr).not.toMatch(/\u001b/)
    expect(stdout).toBe('')
  })
})

const settled = {
  runId: 7,
  jobId: 'sync',
  attempt: 1,
  outcome: 'success',
  state: 'succeeded',
  durationMs: 1_234,
  error: undefined,
  retryInMs: undefined,
  isGivenUp: false,
  isUntried: false,
} as const satisfies EventMap['run.settled']

/** One sample of each event, so a new event without a line fails the test. */
const SAMPLES: { readonly [N in EventName]: EventMap[N] } = {
  'node.started': { nodeId: 'n1', jobs: 2 },
  'node.stopped': { nodeId: 'n1' },
  'node.drained': { ended: 3, givenBack: 2, stillRunning: 1, leftBehind: 1, runs: ['sync 7'] },
  'node.lost': { nodeId: 'n1', newNodeId: 'n2' },
  'leader.changed': { isLeader: true, epoch: 3 },
  'config.refused': { jobId: 'sync', version: 3, inForce: 2, error: new Error('no shop') },
  'config.changed': { jobId: 'sync', version: 2, effectiveFrom: new Date(0) },
  'shared.changed': { topic: 'rates', version: 2 },
  'shared.refused': { topic: 'rates', version: 3, inForce: 2, error: new Error('no rate') },
  'elector.changed': { elector: 'exports', isLeader: true, epoch: 3 },
  'cache.degraded': { cache: 'rates', error: new Error('gone') },
  'cache.recovered': { cache: 'rates', outageMs: 1_500 },
  'runs.deleted': { count: 3 },
  'backfill.changed': { backfillId: 4, jobId: 'sync', state: 'succeeded' },
  'schedule.changed': { jobId: 'sync', schedule: '0 * * * *' },
  'schedule.refused': { jobId: 'sync', schedule: 'every day', error: new Error('no cron') },
  'change.recorded': {
    ...{ auditId: 5, verb: 'jobs.pause', jobId: 'sync', target: undefined, outcome: 'done' },
    actor: { kind: 'cli', name: 'anna@host' },
  },
  'change.refused': { verb: 'jobs.pause', code: 'JOB_UNKNOWN', actor: 'anna@host' },
  'change.unrecorded': { verb: 'jobs.pause', jobId: 'sync', target: undefined, error: new Error('gone') },
  'notice.sent': {
    ...{ noticeId: 3, channel: 'app', kind: 'failure', jobCount: 1, count: 2, tries: 1, durationMs: 12 },
  },
  'notice.failed': {
    ...{ noticeId: 3, channel: 'app', kind: 'failure', tries: 1, error: new Error('gone'), retryInMs: 5_000 },
  },
  'request.answered': { method: 'GET', route: '/healthz', status: 200, durationMs: 1 },
  'request.refused': { code: 'TOKEN_INVALID', route: 'GET /api/v1/jobs', actor: undefined },
  'tick.skipped': { jobId: 'sync', tick: new Date(0), reason: 'overlap' },
  'runs.planned': { jobId: 'sync', count: 1 },
  'windows.skipped': { jobId: 'sync', count: 3 },
  'connections.ended': { count: 2, nodeIds: ['n0'] },
  'connections.left': { nodeIds: ['n0'], error: new Error('no right') },
  'jobs.unknown': { jobIds: ['sync', 'ship'] },
  'runs.recovered': { count: 2, nodeIds: ['n0'] },
  'run.started': { runId: 7, jobId: 'sync', attempt: 1, latenessMs: 5 },
  'batch.changed': { batchId: 3, jobId: 'sync', state: 'running', doneRunId: undefined },
  'run.progress': { runId: 7, jobId: 'sync', done: 1, total: 2, message: 'half' },
  'run.settled': settled,
  'item.ended': {
    runId: 7,
    jobId: 'sync',
    itemId: 9,
    kind: 'page',
    state: 'done',
    class: undefined,
    durationMs: 3,
    phases: undefined,
  },
  'items.progress': {
    ...{ runId: 7, jobId: 'sync', total: 3, queued: 1, running: 0, done: 2, dead: 0, skipped: 0, cancelled: 0 },
    ...{ duplicates: 0, left: 0, bytes: 0, ms: 9 },
  },
  'crawl.progress': {
    ...{ runId: 7, jobId: 'sync', total: 3, queued: 1, running: 0, done: 2, dead: 0, skipped: 0, cancelled: 0 },
    ...{ duplicates: 0, left: 0, bytes: 0, ms: 9, perSecond: 2, etaMs: 500, reasons: {}, steps: {} },
  },
  'lane.opened': { laneId: 3, scope: 'crawl', lane: 'a.test', openUntil: new Date(0), opens: 1 },
  'lane.closed': { laneId: 3, scope: 'crawl', lane: 'a.test' },
  'item.dead': { runId: 7, jobId: 'sync', itemId: 9, kind: 'page', key: '/a', class: 'network', error: 'reset' },
  'run.lost': { runId: 7, jobId: 'sync', fence: 4 },
  'sink.spilling': { sink: 'orders', error: new Error('refused') },
  'sink.drained': { sink: 'orders', rows: 7, outageMs: 60_000 },
  'sink.adopted': { sink: 'orders', segments: 2, bytes: 1_000 },
  'sink.damaged': { sink: 'orders', file: 'a.damaged', problems: ['record 3 fails its checksum'], lostBytes: 80 },
  'sink.superseded': { sink: 'orders', jobId: 'sync', runId: 7, rows: 1, error: new Error('newer') },
  'sink.dead': { sink: 'orders', jobId: 'sync', runId: 7, rows: 1, reason: 'no customer' },
  'resource.lost': { resource: 'db', error: new Error('refused') },
  'resource.recovered': { resource: 'db', lostMs: 1_500, tries: 2 },
  'service.crashed': { service: 'Piko/planner', error: new Error('gone') },
  'service.restarted': { service: 'Piko/planner', restarts: 1 },
  'service.stuck': { service: 'Piko/cache', task: 'refresh', waitedMs: 5_000 },
  'loop.blocked': { blockedMs: 3_000, culprit: 'parse (jobs.ts:3:5)', stack: ['parse (jobs.ts:3:5)'] },
  'loop.failed': { loop: 'planner', error: new Error('gone'), retryInMs: 1_000 },
  'row.broken': { table: 'piko_run', key: 'id = 7', columns: ['run_at'], error: new Error('not read') },
  'loop.recovered': { loop: 'planner', failures: 3 },
  'store.outage': { error: new Error('gone') },
  'store.recovered': { outageMs: 14_000, failures: 82 },
}

describe('logEvents', () => {
  function emitted<N extends EventName>(name: N, payload: EventMap[N]) {
    const { log, lines } = capture()
    const events = new Events()
    logEvents(events, log)
    events.emit(name, payload)
    return lines()
  }

  it.each(Object.keys(SAMPLES) as EventName[])('writes one line for %s, with its name and a message', (name) => {
    const [line, ...more] = emitted(name, SAMPLES[name])
    expect(line).toMatchObject({ piko_event: name, msg: expect.stringMatching(/\w/) as string })
    expect(more).toEqual([])
  })

  it('writes one line for the further ticks of a burst, however many', () => {
    const { log, lines } = capture()
    const events = new Events()
    const stop = logEvents(events, log)
    for (let second = 0; second < 3_600; second++)
      for (const jobId of ['sync', 'ship'])
        events.emit('tick.skipped', { jobId, tick: new Date(second * 1_000), reason: 'misfire' })
    stop()
    const last = '1970-01-01T00:59:59.000Z'
    expect(lines()).toMatchObject([
      { msg: 'tick skipped', job_id: 'sync', tick: '1970-01-01T00:00:00.000Z' },
      { msg: 'tick skipped', job_id: 'ship' },
      { msg: '3599 more ticks skipped', job_id: 'sync', count: 3_599, last, reason: 'misfire' },
      { msg: '3599 more ticks skipped', job_id: 'ship', count: 3_599 },
    ])
  })

  it.each([
    ['info', 'run succeeded in 1.2s', {}],
    ['warn', 'run failed; retrying in 2.0s', { outcome: 'failure', state: 'queued', retryInMs: 2_000 }],
    ['warn', 'run timed out; retrying immediately', { outcome: 'timeout', state: 'queued', retryInMs: 0 }],
    ['error', 'run failed; it will not be retried', { outcome: 'failure', state: 'failed' }],
    ['error', 'run timed out; it will not be retried', { outcome: 'timeout', state: 'failed' }],
    [
      'error',
      'run timed out; it will not be retried; its handler ignored ctx.signal and is still running',
      { outcome: 'timeout', state: 'failed', isGivenUp: true },
    ],
    [
      'warn',
      'run was interrupted because this node is stopping; it is queued again; its handler ignored ctx.signal and is still running',
      { outcome: 'interrupted', state: 'queued', isGivenUp: true },
    ],
    ['info', 'run was cancelled', { outcome: 'cancelled', state: 'cancelled' }],
    [
      'info',
      'run was interrupted because this node is stopping; it is queued again',
      { outcome: 'interrupted', state: 'queued' },
    ],
    [
      'info',
      'run was not started: its job has reached its rate limit; it is queued again',
      { outcome: 'interrupted', state: 'queued', isUntried: true },
    ],
  ] as const)('says at level %s: %s', (level, msg, change) => {
    const [line] = emitted('run.settled', { ...settled, ...change })
    const { outcome, state } = { ...settled, ...change }
    expect(line).toMatchObject({
      level,
      msg,
      run_id: 7,
      job_id: 'sync',
      attempt: 1,
      duration_ms: 1_234,
      outcome,
      state,
    })
  })

  it('never says that another node plans ticks', () => {
    const [line] = emitted('leader.changed', { isLeader: false, epoch: undefined })
    expect(line).toMatchObject({ level: 'info', msg: 'this node is no longer the leader; another node may plan ticks' })
  })

  it('shows the error of a failed run', () => {
    const [line] = emitted('run.settled', {
      ...settled,
      outcome: 'failure',
      state: 'failed',
      error: new Error('no db'),
    })
    expect(line).toMatchObject({ err: { message: 'no db' } })
  })

  it('says that nothing was written for a lost run', () => {
    const [line] = emitted('run.lost', SAMPLES['run.lost'])
    expect(line).toMatchObject({
      level: 'warn',
      msg: expect.stringContaining('nothing was written') as string,
      fence: 4,
    })
  })

  it('says which loop failed and when it retries', () => {
    const [line] = emitted('loop.failed', SAMPLES['loop.failed'])
    expect(line).toMatchObject({
      level: 'error',
      msg: 'planner failed; retrying in 1.0s',
      err: { message: 'gone' },
    })
  })

  it.each([
    ['an outage', { fault: 'outage' }, 'debug'],
    ['a conflict', { fault: 'contention', failures: 4 }, 'debug'],
    ['the fifth conflict in a row', { fault: 'contention', failures: 5 }, 'warn'],
    ['a wrong statement', { fault: 'programming' }, 'error'],
  ] as const)('reports at the right level a loop that failed because of %s', (_, more, level) => {
    const [line] = emitted('loop.failed', { ...SAMPLES['loop.failed'], ...more })
    expect(line).toMatchObject({ level })
  })

  it('says when the store became unavailable and when it was back', () => {
    expect(emitted('store.outage', SAMPLES['store.outage'])).toMatchObject([
      { level: 'error', err: { message: 'gone' } },
    ])
    expect(emitted('store.recovered', SAMPLES['store.recovered'])).toMatchObject([
      { level: 'info', msg: 'the database is back after 14.0s', failures: 82 },
    ])
  })

  it('ends on request', () => {
    const { log, lines } = capture()
    const events = new Events()
    const end = logEvents(events, log)
    end()
    for (const name of Object.keys(SAMPLES) as EventName[]) events.emit(name, SAMPLES[name])
    expect(lines()).toEqual([])
  })
})
