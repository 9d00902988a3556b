import type { Piko } from '../../../src/app/piko.ts'
import type { Client } from '../../../src/client/index.ts'
import type { Project } from '../../cli/project.ts'
import { NODE } from './scenario.ts'

const MARCH = { from: '2026-03-05', to: '2026-04-01' }
const GRID = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z', by: 'day' } as const
const SIX = { kind: 'cron', cron: '0 6 * * *', timezone: 'UTC' } as const
const PREVIEW = { from: '2100-01-01T00:00:00Z', count: 2 } as const

/** The twenty tasks of an operator. Each returns what its way has shown, in a form that all ways share. */
export type Tasks = Readonly<Record<(typeof TASKS)[number], () => Promise<unknown>>>

export const TASKS = [
  'which jobs have failures',
  'failed runs of one error',
  'why a run failed',
  'the window that failed last night',
  'why the window failed',
  'replay of one error, dry',
  'replay of one error',
  'pause a job',
  'resume a job',
  'preview a schedule',
  'override a schedule',
  'clear the override',
  'drain a node',
  'resume a node',
  'backfill March',
  'mark windows stale',
  'run windows again',
  'what changed in a config',
  'roll a config back',
  'cancel queued runs',
  'how March looks',
  'who changed what',
] as const

/** Without the time of this test. */
const timeless = (sentence: string): string => sentence.replace(/failed at \S+,/, 'failed,')
const iso = (value: unknown): string => new Date(value as string).toISOString()

export function byApp(app: Piko): Tasks {
  return {
    'which jobs have failures': async () =>
      (await app.jobs.overview()).jobs.filter(({ failed }) => failed.count > 0).map(({ id }) => id),
    'failed runs of one error': async () =>
      (await app.runs.list({ jobId: 'imports', state: 'failed', error: 'ETIMEDOUT' })).map(({ id }) => id),
    'why a run failed': async () => {
      const [run] = await app.runs.list({ jobId: 'imports', state: 'failed', limit: 1 })
      const shown = await app.runs.show(run?.id ?? 0)
      return [shown.error?.message, shown.attempts.length]
    },
    'the window that failed last night': async () =>
      (await app.windows.list('orders', { state: 'failed' })).map(({ start, error }) => [iso(start), error]),
    'why the window failed': async () => timeless((await app.jobs.why('orders', '2026-03-03')).sentence),
    'replay of one error, dry': async () =>
      (await app.runs.replay({ jobId: 'imports', error: 'ETIMEDOUT', dryRun: true })).count,
    'replay of one error': async () => (await app.runs.replay({ jobId: 'imports', error: 'ETIMEDOUT' })).count,
    'pause a job': () => app.jobs.pause('orders'),
    'resume a job': () => app.jobs.resume('orders'),
    'preview a schedule': async () => (await app.schedules.preview('orders', PREVIEW)).ticks.map(({ at }) => iso(at)),
    'override a schedule': () => app.schedules.set('orders', SIX),
    'clear the override': () => app.schedules.clear('orders'),
    'drain a node': () => app.nodes.drain(NODE),
    'resume a node': () => app.nodes.resume(NODE),
    'backfill March': async () => (await app.backfills.create('orders', MARCH)).status().then(({ total }) => total),
    'mark windows stale': async () =>
      (await app.windows.stale('orders', { from: '2026-03-10', to: '2026-03-12' })).windows,
    'run windows again': async () =>
      (await app.windows.rerun('orders', { from: '2026-03-10', to: '2026-03-12', only: 'all' })).total,
    'what changed in a config': async () => (await app.configs.diff('orders', { from: 1, to: 2 })).changes,
    'roll a config back': () => app.configs.rollback('orders', 1),
    'cancel queued runs': async () => (await app.runs.cancel({ jobId: 'later', state: 'queued' })).cancelled,
    'how March looks': async () =>
      (await app.windows.grid(GRID)).rows.flatMap(({ cells }) =>
        cells.map(({ start, counts }) => [iso(start), counts]),
      ),
    'who changed what': async () => (await app.audit.list({ limit: 100 })).map(({ verb }) => verb),
  }
}

export function byClient(client: Client): Tasks {
  const jobId = 'orders'
  return {
    'which jobs have failures': async () =>
      (await client.jobs.overview({})).items.filter(({ failed }) => failed.count > 0).map(({ id }) => id),
    'failed runs of one error': async () =>
      (await client.runs.list({ jobId: 'imports', state: 'failed', error: 'ETIMEDOUT' })).items.map(({ id }) => id),
    'why a run failed': async () => {
      const [run] = (await client.runs.list({ jobId: 'imports', state: 'failed', limit: 1 })).items
      const shown = await client.runs.show({ runId: run?.id ?? 0 })
      return [shown.error?.message, shown.attempts.length]
    },
    'the window that failed last night': async () =>
      (await client.windows.list({ jobId, state: 'failed' })).items.map(({ start, error }) => [iso(start), error]),
    'why the window failed': async () => timeless((await client.jobs.why({ jobId, tick: '2026-03-03' })).sentence),
    'replay of one error, dry': async () =>
      (await client.runs.replay({ jobId: 'imports', error: 'ETIMEDOUT', dryRun: true })).count,
    'replay of one error': async () => (await client.runs.replay({ jobId: 'imports', error: 'ETIMEDOUT' })).count,
    'pause a job': () => client.jobs.pause({ jobId }),
    'resume a job': () => client.jobs.resume({ jobId }),
    'preview a schedule': async () =>
      (await client.schedules.preview({ jobId, ...PREVIEW })).ticks.map(({ at }) => iso(at)),
    'override a schedule': () => client.schedules.set({ jobId, schedule: SIX }),
    'clear the override': () => client.schedules.clear({ jobId }),
    'drain a node': () => client.nodes.drain({ node: NODE }),
    'resume a node': () => client.nodes.resume({ node: NODE }),
    'backfill March': async () => (await client.backfills.create({ jobId, ...MARCH })).total,
    'mark windows stale': async () =>
      (await client.windows.stale({ jobId, from: '2026-03-10', to: '2026-03-12' })).windows,
    'run windows again': async () =>
      (await client.windows.rerun({ jobId, from: '2026-03-10', to: '2026-03-12', only: 'all' })).total,
    'what changed in a config': async () => (await client.configs.diff({ jobId, from: 1, to: 2 })).changes,
    'roll a config back': () => client.configs.rollback({ jobId, version: 1 }),
    'cancel queued runs': async () => (await client.runs.cancel({ jobId: 'later', state: 'queued' })).cancelled,
    'how March looks': async () =>
      (await client.windows.grid(GRID)).items.flatMap(({ cells }) =>
        cells.map(({ start, counts }) => [iso(start), counts]),
      ),
    'who changed what': async () => (await client.audit.list({ limit: 100 })).items.map(({ verb }) => verb),
  }
}

/** The parts of what commands print that the tasks use. */
interface Printed {
  readonly jobs: readonly { readonly id: string; readonly failed: { readonly count: number } }[]
  readonly runs: readonly { readonly id: number }[]
  readonly error: { readonly message: string }
  readonly attempts: readonly unknown[]
  readonly windows: readonly { readonly start: string; readonly error?: string }[]
  readonly why: string
  readonly count: number
  readonly ticks: readonly { readonly at: string }[]
  readonly total: number
  readonly backfill: { readonly total: number }
  readonly changes: unknown
  readonly cancelled: number
  readonly rows: readonly { readonly cells: readonly { readonly start: string; readonly counts: object }[] }[]
  readonly audit: readonly { readonly verb: string }[]
}

export function byCommands(project: Project): Tasks {
  const piko = async (...args: readonly string[]): Promise<Printed> => {
    const { code, stdout, stderr } = await project.piko([...args, '--json'])
    if (code !== 0) throw new Error(`piko ${args.join(' ')}: ${stderr}`)
    return JSON.parse(stdout) as Printed
  }
  const range = ['--from', '2026-03-10', '--to', '2026-03-12']
  const one = ['runs', 'replay', '--job', 'imports', '--error', 'ETIMEDOUT']
  return {
    'which jobs have failures': async () =>
      (await piko('jobs', 'overview')).jobs.filter((job) => job.failed.count > 0).map((job) => job.id),
    'failed runs of one error': async () =>
      (await piko('runs', 'list', '--job', 'imports', '--state', 'failed', '--error', 'ETIMEDOUT')).runs.map(
        (run) => run.id,
      ),
    'why a run failed': async () => {
      const { runs } = await piko('runs', 'list', '--job', 'imports', '--state', 'failed', '--limit', '1')
      const shown = await piko('runs', 'show', String(runs[0]?.id))
      return [shown.error.message, shown.attempts.length]
    },
    'the window that failed last night': async () =>
      (await piko('windows', 'list', 'orders', '--state', 'failed')).windows.map((window) => [
        iso(window.start),
        window.error,
      ]),
    'why the window failed': async () => timeless((await piko('jobs', 'why', 'orders', '2026-03-03')).why),
    'replay of one error, dry': async () => (await piko(...one, '--dry-run')).count,
    'replay of one error': async () => (await piko(...one)).count,
    'pause a job': () => piko('jobs', 'pause', 'orders'),
    'resume a job': () => piko('jobs', 'resume', 'orders'),
    'preview a schedule': async () =>
      (await piko('schedules', 'preview', 'orders', '--from', PREVIEW.from, '--count', '2')).ticks.map((tick) =>
        iso(tick.at),
      ),
    'override a schedule': () => piko('schedules', 'set', 'orders', '--cron', SIX.cron, '--timezone', 'UTC'),
    'clear the override': () => piko('schedules', 'clear', 'orders'),
    'drain a node': () => piko('nodes', 'drain', NODE),
    'resume a node': () => piko('nodes', 'resume', NODE),
    'backfill March': async () =>
      (await piko('backfills', 'create', 'orders', '--from', MARCH.from, '--to', MARCH.to)).total,
    'mark windows stale': async () => (await piko('windows', 'stale', 'orders', ...range)).windows,
    'run windows again': async () =>
      (await piko('windows', 'rerun', 'orders', ...range, '--only', 'all')).backfill.total,
    'what changed in a config': async () => (await piko('configs', 'diff', 'orders', '1', '2')).changes,
    'roll a config back': () => piko('configs', 'rollback', 'orders', '1'),
    'cancel queued runs': async () => (await piko('runs', 'cancel', '--job', 'later', '--state', 'queued')).cancelled,
    'how March looks': async () =>
      (await piko('windows', 'grid', '--from', GRID.from, '--to', GRID.to, '--by', 'day')).rows.flatMap((row) =>
        row.cells.map(({ start, counts }) => [iso(start), counts]),
      ),
    'who changed what': async () => (await piko('audit', 'list')).audit.map((row) => row.verb),
  }
}
