import { hostname } from 'node:os'
import { z } from 'zod'
import { expect, onTestFinished } from 'vitest'
import { Piko } from '../../../src/app/piko.ts'
import { HttpService } from '../../../src/http/http-service.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { eventually, testSettings } from '../../support/app.ts'
import { Project } from '../../cli/project.ts'

/** The same jobs as below, for the command line: it has its own process, and loads the jobs of a project. */
const FILE = `
import { defineJob } from 'piko'
import { z } from 'zod'
export const orders = defineJob(
  {
    id: 'orders', cron: '0 0 * * *', timezone: 'UTC',
    windows: { start: '2026-03-01T00:00:00Z', end: '2026-04-01T00:00:00Z', catchUp: 'none' },
    config: z.object({ shop: z.string().default('eu') }),
  },
  () => {},
)
export const imports = defineJob({ id: 'imports', input: z.unknown() }, () => {})
export const later = defineJob({ id: 'later' }, () => {})
`
/** Half of the imports fail with one error: the 500 that are replayed. */
const IMPORTS = 1_000
export const NODE = hostname()

/** A node in trouble, its database and its API. */
export interface Scenario {
  readonly node: Piko
  readonly url: string
  readonly token: string
  readonly project: Project
  /** The results of the tasks, in the same form for all three ways. */
  snapshot(): Promise<object>
}

/** The jobs of the node. They fail until they are mended. */
export function jobsOf(isBroken: () => boolean) {
  return [
    defineJob(
      {
        ...{ id: 'orders', cron: '0 0 * * *', timezone: 'UTC' },
        windows: { start: '2026-03-01T00:00:00Z', end: '2026-04-01T00:00:00Z', catchUp: 'none' },
        config: z.object({ shop: z.string().default('eu') }),
      },
      ({ window }) => {
        if (isBroken() && window?.start.getUTCDate() === 3) throw new Error('ETIMEDOUT shop')
      },
    ),
    defineJob({ id: 'imports', input: z.unknown() }, ({ input }) => {
      if (isBroken()) throw new Error((input as number) % 2 === 0 ? 'ETIMEDOUT bank' : 'price is undefined')
    }),
    defineJob({ id: 'later' }, () => {}),
  ]
}

/** The morning after: a window has failed, half of the imports have failed with one error, and the causes are gone. */
export async function openScenario(): Promise<Scenario> {
  const project = new Project({ 'jobs.mjs': FILE })
  let isBroken = true
  const node = new Piko({
    jobs: jobsOf(() => isBroken),
    settings: testSettings({ sqlitePath: `${project.folder}/.piko/piko.db` }),
  })
  const http = node.addService(new HttpService(node, { host: '127.0.0.1', port: 0 }), { first: true })
  await node.start()
  onTestFinished(() => node.stop())
  const { token } = await node.tokens.create({ name: 'operator', role: 'operator' })
  const nights = await node.backfills.create('orders', { from: '2026-03-01', to: '2026-03-05', parallel: 1 })
  await nights.wait()
  await node.enqueueMany(
    'imports',
    Array.from({ length: IMPORTS }, (_, input) => ({ input })),
  )
  const failed = { jobId: 'imports', state: 'failed', limit: 2 * IMPORTS } as const
  await eventually(async () => expect(await node.runs.list(failed)).toHaveLength(IMPORTS))
  await node.configs.set('orders', { shop: 'us' })
  await node.configs.set('orders', { shop: 'wrong' })
  await node.enqueueMany(
    'later',
    Array.from({ length: 3 }, () => ({ runAt: new Date('2100-01-01T00:00:00Z') })),
  )
  isBroken = false
  return { node, url: http.url ?? '', token, project, snapshot: () => snapshot(node) }
}

async function snapshot(node: Piko): Promise<object> {
  const runs = async (jobId: string): Promise<Record<string, number>> => {
    const found = await node.runs.list({ jobId, limit: 2 * IMPORTS })
    return Object.fromEntries(
      [...Map.groupBy(found, ({ state }) => state)].map(([state, some]) => [state, some.length]),
    )
  }
  // What an operator has requested runs in the background.
  await eventually(async () => {
    expect(await node.backfills.list({ state: 'running' })).toEqual([])
    expect([(await runs('orders'))['queued'], (await runs('imports'))['queued']]).toEqual([undefined, undefined])
    expect(await node.runs.list({ state: 'running' })).toEqual([])
  })
  const [orders] = (await node.jobs.page({ ids: ['orders'] })).jobs
  return {
    orders: await runs('orders'),
    imports: await runs('imports'),
    later: await runs('later'),
    windows: (await node.windows.summary('orders')).counts,
    isPaused: orders?.isPaused,
    schedule: scheduleOf(orders?.schedule ?? '{}'),
    config: (await node.configs.history('orders'))[0]?.config,
    isDraining: (await node.nodes.list()).map(({ isDraining }) => isDraining),
  }
}

/** A schedule in a form that all ways share: the command line stores a list of expressions, and the defaults. */
function scheduleOf(text: string): readonly unknown[] {
  const { kind, cron, timezone } = JSON.parse(text) as Readonly<Record<string, unknown>>
  return [kind, [cron].flat(), timezone]
}
