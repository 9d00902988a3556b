import { type CallArguments, type Change, fieldOf, firstId, jobOption, pick, type Sight, type Verb } from './change.ts'
import type { Noun, VerbOf } from './nouns.ts'

const RUN = ['id', 'jobId', 'state', 'attempt', 'cancelRequestedAt']
const BACKFILL = ['id', 'jobId', 'state', 'from', 'to', 'total', 'parallel']
const BATCH = ['id', 'jobId', 'state', 'key', 'total']
const CONFIG = ['version', 'config', 'effectiveFrom']
const SHARED = ['version', 'value', 'reason']
const LANE = ['id', 'scope', 'name', 'pausedAt']
const MAX_LANES = 20
const SERVICE = ['nodeId', 'host', 'path', 'state', 'restarts']
const MAX_SERVICES = 100

const numbered =
  (what: string) =>
  (args: CallArguments): string | undefined => {
    const id = firstId(args)
    return id === undefined ? undefined : `${what} ${id}`
  }

/** Returns the run's number from the first argument; undefined if that is a filter. */
const numberIn = ([first]: CallArguments): number | undefined => (typeof first === 'number' ? first : undefined)

const runIn = async ({ store }: Sight, args: CallArguments): Promise<unknown> =>
  pick(await store.runs.find(numberIn(args) ?? 0), RUN)

const ofFilter = (args: CallArguments): unknown => (numberIn(args) === undefined ? args[0] : args[1])

/** Describes a change of runs, by number or by filter. With a filter, the state before the change is the number of matching runs. */
function ofRuns(count: 'cancel' | 'replay'): Change {
  const preview = async ({ nouns: { runs } }: Sight, [filter]: CallArguments): Promise<unknown> => {
    const options = { ...(filter as object), dryRun: true }
    return count === 'cancel' ? runs.cancel(options) : runs.replay(options)
  }
  return {
    target: (args) => (numberIn(args) === undefined ? undefined : `run ${numberIn(args)}`),
    job: jobOption,
    request: ofFilter,
    before: (sight, args) => (numberIn(args) === undefined ? preview(sight, args) : runIn(sight, args)),
    after: (result, args) => (numberIn(args) === undefined ? result : pick(result, RUN)),
    isInParts: true,
  }
}

const ofJob = (state: NonNullable<Change['state']>): Change => ({ job: firstId, state })

const pauseOfJob = ofJob(async ({ store }, args) => ({
  isPaused: (await store.jobs.find(firstId(args) ?? ''))?.isPaused,
}))

const scheduleOfJob = ofJob(async ({ store }, args) =>
  pick(await store.jobs.find(firstId(args) ?? ''), ['schedule', 'codeSchedule']),
)

const ofConfig: Change = {
  job: firstId,
  before: async ({ store }, args) => pick((await store.configs.history(firstId(args) ?? '', 1))[0] ?? null, CONFIG),
  after: (result) => pick(result, CONFIG),
}

const stateOfBackfill: Change = {
  target: numbered('backfill'),
  state: async ({ store }, args) => pick(await store.backfills.find(Number(firstId(args))), BACKFILL),
}

const stateOfBatch: Change = {
  target: numbered('batch'),
  state: async ({ store }, args) => pick(await store.batches.find(Number(firstId(args))), BATCH),
  isInParts: true,
}

const pauseOfLane = (scope?: string): Change => ({
  target: numbered(scope === undefined ? 'lane' : 'host'),
  state: async ({ nouns }, args) => {
    const lanes = await (scope === undefined
      ? nouns.items.lanes({ limit: 1_000 })
      : nouns.crawls.lanes({ limit: 1_000 }))
    return lanes
      .filter(({ name }) => name === firstId(args))
      .slice(0, MAX_LANES)
      .map((lane) => pick(lane, LANE))
  },
})

const replayOfItems = (what: string): Change => ({
  target: (args) => (numberIn(args) === undefined ? undefined : `run ${numberIn(args)}`),
  job: (args) => (numberIn(args) === undefined ? firstId(args) : undefined),
  before: async ({ nouns, store }, args) => {
    const runId = numberIn(args) ?? (await nouns.crawls.status(firstId(args) ?? '')).runId
    if (runId === undefined) return null
    const { dead, skipped, cancelled } = await nouns.items.status(runId)
    return { ...(pick(await store.runs.find(runId), RUN) as object), [what]: { dead, skipped, cancelled } }
  },
  isInParts: true,
})

const ofDeadRows: Change = {
  target: (args) => {
    const sink = fieldOf(args[0], 'sink')
    return typeof sink === 'string' ? `sink ${sink}` : undefined
  },
  job: jobOption,
  request: ([filter]) => filter,
  state: async ({ store }, [filter]) => ({ deadRows: await store.deadRows.count(filter as object) }),
  isInParts: true,
}

const ofShared: Change = {
  target: ([first]) => {
    const topic = typeof first === 'string' ? first : fieldOf(first, 'topic')
    return typeof topic === 'string' ? `shared value ${topic}` : undefined
  },
  request: () => undefined,
  state: async ({ nouns }, [topic]) => pick((await nouns.shared.show(topic as string)) ?? null, SHARED),
}

const SETTINGS = ['version', 'settings', 'effectiveFrom']

/** A call whose first argument is a host or the id of a node. */
const ofNode: Change = {
  target: numbered('node'),
  before: async ({ nouns }, args) => pick(await nouns.nodes.settings({ on: firstId(args) }), SETTINGS),
  after: (result) => pick(result, SETTINGS),
}

/** The calls that start runs: `app.run`, `app.enqueue` and `app.enqueueMany`. */
export const START: Change = {
  job: firstId,
  before: async () => null,
  isWork: true,
}

/** All operations. The type requires an entry for each method of an app's namespaces, so no change can be missing from the audit. */
export const VERBS: { readonly [N in Noun]: { readonly [V in VerbOf<N>]: Verb } } = {
  runs: {
    list: 'read',
    page: 'read',
    summary: 'read',
    timeline: 'read',
    show: 'read',
    logs: 'read',
    follow: 'read',
    cancel: ofRuns('cancel'),
    replay: ofRuns('replay'),
    prune: {
      job: jobOption,
      request: ([options]) => options,
      before: async ({ nouns }, [options]) => ({
        runs: await nouns.runs.prune({ ...(options as { olderThan: '1d' }), dryRun: true }),
      }),
      after: (deleted) => ({ deleted }),
      isInParts: true,
    },
  },
  jobs: {
    ...{
      list: 'read',
      page: 'read',
      overview: 'read',
      show: 'read',
      why: 'read',
      dependencies: 'read',
      limits: 'read',
    },
    ...{ pause: pauseOfJob, resume: pauseOfJob },
  },
  schedules: { list: 'read', preview: 'read', set: scheduleOfJob, clear: scheduleOfJob },
  windows: {
    list: 'read',
    coverage: 'read',
    grid: 'read',
    summary: 'read',
    prove: 'read',
    rerun: {
      job: firstId,
      before: async () => null,
      after: (result) => pick(result, BACKFILL),
      made: (result) => `backfill ${String(fieldOf(result, 'id'))}`,
    },
    stale: {
      job: firstId,
      state: async ({ nouns }, args) => pick(await nouns.windows.summary(firstId(args) ?? ''), ['counts']),
    },
  },
  backfills: {
    preview: 'read',
    list: 'read',
    show: 'read',
    wait: 'read',
    create: {
      job: firstId,
      before: async () => null,
      after: (result) => pick(result, ['id', 'jobId']),
      made: (result) => `backfill ${String(fieldOf(result, 'id'))}`,
    },
    pause: stateOfBackfill,
    resume: stateOfBackfill,
    cancel: stateOfBackfill,
  },
  batches: {
    list: 'read',
    show: 'read',
    wait: 'read',
    create: {
      job: firstId,
      request: ([, items, options]) => ({ items: fieldOf(items, 'length'), ...(options as object | undefined) }),
      before: async () => null,
      after: (result) => pick(result, ['id', 'jobId', 'key']),
      made: (result) => `batch ${String(fieldOf(result, 'id'))}`,
      isWork: true,
    },
    cancel: stateOfBatch,
    replay: stateOfBatch,
  },
  items: {
    status: 'read',
    list: 'read',
    show: 'read',
    lanes: 'read',
    replay: replayOfItems('items'),
    pause: pauseOfLane(),
    resume: pauseOfLane(),
  },
  crawls: {
    status: 'read',
    items: 'read',
    dead: 'read',
    lanes: 'read',
    try: 'work',
    replay: replayOfItems('pages'),
    pause: pauseOfLane('crawl'),
    resume: pauseOfLane('crawl'),
  },
  configs: { show: 'read', history: 'read', diff: 'read', watch: 'read', set: ofConfig, rollback: ofConfig },
  limits: {
    list: 'read',
    reset: {
      target: numbered('limit'),
      state: async ({ nouns }, args) =>
        pick((await nouns.limits.list({ limit: 10_000 })).find(({ name }) => name === firstId(args)) ?? { taken: 0 }, [
          'taken',
        ]),
    },
  },
  locks: { list: 'read', acquire: 'work' },
  nodes: {
    list: 'read',
    leader: 'read',
    settings: 'read',
    drain: ofNode,
    resume: ofNode,
    set: {
      target: ([, options]) => {
        const on = fieldOf(options, 'on')
        return typeof on === 'string' ? `node ${on}` : 'all nodes'
      },
      request: ([changes]) => changes,
      before: async ({ nouns }, [, options]) => {
        const on = fieldOf(options, 'on')
        const { version, settings } = await nouns.nodes.settings(typeof on === 'string' ? { on } : {})
        return { version, settings }
      },
      after: (result) => pick(result, ['version', 'settings', 'effectiveFrom']),
    },
  },
  resources: { list: 'read' },
  services: {
    tree: 'read',
    list: 'read',
    restart: {
      target: numbered('service'),
      before: async ({ nouns }, [service, options]) => {
        const on = fieldOf(options, 'on')
        const found = await nouns.services.list({
          service: String(service),
          ...(typeof on === 'string' && { on }),
        })
        return found.slice(0, MAX_SERVICES).map((one) => pick(one, SERVICE))
      },
      after: (result) => (Array.isArray(result) ? result.slice(0, MAX_SERVICES) : result),
    },
  },
  sinks: { list: 'read', dead: 'read', replay: ofDeadRows, drop: ofDeadRows },
  notify: { list: 'read', alerts: 'read', test: 'work' },
  shared: { list: 'read', show: 'read', history: 'read', publish: ofShared, rollback: ofShared },
  cache: {
    list: 'read',
    stats: 'read',
    clear: {
      target: numbered('cache'),
      state: async ({ store }, args) => store.caches.figures(firstId(args) ?? ''),
      isInParts: true,
    },
  },
  live: { page: 'read', follow: 'read' },
  tokens: {
    list: 'read',
    show: 'read',
    create: {
      request: ([options]) => options,
      before: async () => null,
      after: (result) => pick(result, ['id', 'name', 'role', 'jobs', 'expiresAt']),
      made: (result) => `token ${String(fieldOf(result, 'name'))}`,
    },
    revoke: {
      target: numbered('token'),
      before: async ({ nouns }, [which]) => nouns.tokens.show(which as string),
      after: (result) => result,
    },
  },
  audit: { list: 'read' },
}
