import { RunPipeline } from '../engine/attempt/run-pipeline.ts'
import { RateGate } from '../engine/claiming/rate-gate.ts'
import { ItemCalls } from '../engine/items/item-calls.ts'
import { ItemCommits } from '../engine/items/item-commits.ts'
import { ItemCompleter } from '../engine/items/item-completer.ts'
import { ItemDispatcher } from '../engine/items/item-dispatcher.ts'
import { ItemProgress } from '../engine/items/measures/item-progress.ts'
import { ItemRunner } from '../engine/items/item-runner.ts'
import { ItemSweeper } from '../engine/items/item-sweeper.ts'
import { ItemScores } from '../engine/items/item-scores.ts'
import { KeptBytes } from '../engine/items/kept-bytes.ts'
import { LaneIds } from '../engine/items/lane-ids.ts'
import { LaneNotes } from '../engine/items/lane-notes.ts'
import { LaneTurns } from '../engine/items/lane-turns.ts'
import { LaneSpeeds } from '../engine/items/measures/lane-speeds.ts'
import { LaneWaker } from '../engine/items/lane-waker.ts'
import { LoopPressure } from '../engine/items/measures/loop-pressure.ts'
import { OpenExtensions } from '../engine/items/open-extensions.ts'
import { StoredPrints } from '../engine/items/stored-prints.ts'
import { RootItems } from '../engine/items/root-items.ts'
import { rootOutcome } from '../engine/items/root-end.ts'
import { RootWaits } from '../engine/items/root-waits.ts'
import type { Events } from '../events.ts'
import type { LaneChange } from '../store/items/settle-lanes.ts'
import type { Items, ItemsOwn } from './items-parts.ts'
import type { NodeParts } from './node-parts.ts'

export function buildItems(parts: NodeParts, own: ItemsOwn): Items {
  const { registry, resources, sinks, events, clock, loops, settings, graceMs } = parts
  const { store } = parts.store
  const { nodeId, holdsLease, prepare, locks, shared, caches, runLogs, ownRuns } = own
  const policies = [...registry].flatMap((job) => (job.policy.items ? [{ job, items: job.policy.items }] : []))
  const lanes = new LaneIds(store.items)
  const prints = new StoredPrints()
  const waker = new LaneWaker({ store: store.items, clock, loops, onWoken: () => dispatcher.wake() })
  const waits = new RootWaits({ store: store.items, clock, loops })
  const monotonic = (): number => clock.monotonic()
  const onChanges = (changes: readonly LaneChange[]): void => {
    for (const change of changes) tellLane(events, change)
  }
  const completer = new ItemCompleter({
    store: store.items,
    lanes,
    prints,
    clock,
    loops,
    onLanes: (ids) => waker.wake(ids),
    onChanges,
  })
  const commits = new ItemCommits({ store: store.items, lanes, waker, monotonic, onChanges })
  const turns = new LaneTurns({ store: store.items, clock, events, holdsLease })
  const speeds = new LaneSpeeds({ store: store.items, nodeId, monotonic })
  const pressure = new LoopPressure(settings.items.lowerWhenLate ? undefined : () => 0)
  const kept = new KeptBytes({
    ...{ store: store.items, folder: settings.items.bodies, clock },
    database: () => store.spills.identity(),
  })
  const abandoned = new AbortController()
  const pipeline = new RunPipeline({
    ...{ resources, sinks, locks, shared, caches, clock, events, prepare },
    store: {
      commit: (owner, claim, fn, rules) => commits.commit(owner, claim, fn, rules),
      ...{ steps: store.steps, rates: store.rates, database: store.database },
    },
    progress: { report: () => {} },
    rateGate: new RateGate({ rates: store.rates, clock, events, holdsLease }),
    abandoned: abandoned.signal,
  })
  const runner: ItemRunner = new ItemRunner({
    ...{ registry, store: store.items, clock, events, nodeId, holdsLease, graceMs, completer, pipeline, commits },
    dialect: () => store.database.dialect,
    runLog: (claim) => runLogs.capture(claim, parts.runLog(claim)),
    random: Math.random,
    concurrency: settings.items.concurrency,
    shutdownTimeoutMs: settings.piko.shutdownTimeoutMs,
    ...{ kept, turns, speeds, pressure },
    actions: new ItemCalls({
      ...{ commits, turns, store: store.items, clock },
      notes: new LaneNotes({ store: store.items, locks, clock }),
      scores: new ItemScores({ store: store.items, clock, loops }),
    }),
    // Without this check, the dispatcher would be woken twice for each item, only to see that there is no room.
    onFree: () => {
      if (runner.room > 0) dispatcher.wake()
    },
    onEnded: ({ fence, laneId, isLimited }) => {
      if (isLimited) waker.wake([laneId])
      waits.ended([fence])
    },
  })
  const dispatcher = new ItemDispatcher({
    ...{ store: store.items, nodes: store.nodes, runner, turns, nodeId, holdsLease, ownRuns, clock, loops },
    concurrency: settings.items.concurrency,
    pollIntervalMs: settings.piko.pollIntervalMs,
    scopes: [...new Set(policies.flatMap(({ items }) => [...items.kinds.values()].map(({ laneScope }) => laneScope)))],
    jobIds: policies.map(({ job }) => job.id),
  })
  const sweeper = new ItemSweeper({
    ...{ store: store.items, runner, nodeId, clock, loops, events, speeds, pressure, kept },
    progress: new ItemProgress({
      ...{ store: store.items, runs: runner.runs, events, monotonic },
      isCrawl: (jobId) => registry.find(jobId)?.extension !== undefined,
    }),
    leaseMs: settings.piko.leaseMs,
    lostAttempts: settings.history.lostAttempts,
    onQueued: () => dispatcher.wake(),
  })
  const crawls = [...registry].some(({ extension }) => extension) ? [new OpenExtensions(registry)] : []
  const rootParts = { store: store.items, lanes, waker, clock }
  return {
    root: {
      open: (attempt, policy) => RootItems.open(rootParts, attempt, policy),
      wait: (fence, onIdle) => waits.add(fence, onIdle),
      outcome: (attempt, items, success) => rootOutcome({ store: store.items, sinks }, attempt, items, success),
    },
    ...{ runner, dispatcher },
    openLanes: () => sweeper.openLanes,
    lost: (reason) => {
      lanes.clear()
      prints.clear()
      runner.abortAll(reason)
    },
    services: [
      waits,
      ...crawls,
      runner.dependsOn(parts.store, parts.resources, parts.sinks, ...crawls),
      sweeper.dependsOn(runner),
      dispatcher.dependsOn(runner),
    ],
  }
}

function tellLane(events: Events, { openUntil, opens, name, ...lane }: LaneChange): void {
  if (openUntil) events.emit('lane.opened', { ...lane, lane: name, openUntil, opens })
  else events.emit('lane.closed', { ...lane, lane: name })
}
